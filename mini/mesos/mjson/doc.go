// Package mjson writes and reads JSON exactly as Mesos does.
//
// Nouns. An Object is a JSON object whose keys keep the order in which they
// were put in, as Mesos' classic endpoints print theirs. Proto turns a
// mesos-go message into an Object with sorted keys, as the v1 APIs print
// them. Decode reads JSON into a mesos-go message.
//
// What is Mesos' own about it (contracts, mesos-measured, "Notable facts"):
// no white space; "/" is written "\/"; every float64 has a decimal point or
// an exponent ("4.0") and at most 15 significant digits; enums are their
// names; bytes are base64; absent optional fields and empty lists of a
// message are left out. encoding/json and mesos-go's own encoder print
// otherwise.
//
// The package is pure: no I/O, no state.
package mjson
