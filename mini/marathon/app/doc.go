// Package app holds Marathon's application definition: how 1.1.1 reads it,
// completes it, checks it and prints it.
//
// Nouns: App (a complete definition), Update (what a client sent: every field
// may be absent), Constraint, HealthCheck, Time (a timestamp that doubles as
// version id), Problem (one broken rule at one JSON path).
//
// The way in is Parse → Update.Apply(base) → Normalize → Validate; a complete
// App is printed by encoding/json with every key of 1.1.1 in 1.1.1's order.
// Values are never changed in place: Apply and Normalize return copies, so an
// App may be shared between goroutines.
//
// The package does no I/O. Left out on purpose, and refused by Validate with
// a sentence that says so: resident apps (persistent and external volumes)
// and ip-per-task.
package app
