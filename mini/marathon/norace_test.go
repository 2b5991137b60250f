//go:build !race

package marathon

// raceDetector says that the tests run with it.
const raceDetector = false
