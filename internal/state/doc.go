// Package state owns the folder in which labs are remembered:
//
//	<state>/<name>/lab.json      what this lab is (Record), written by rename before anything is made
//	<state>/<name>/faults.json   the fault journal: written before a fault is done, struck after it is undone
//	<state>/<name>/events.jsonl  one line an event, appended
//	<state>/<name>/…             what the provider puts there (machines, keys, the binary)
//	<state>/.locks/<name>        one lock a lab; all that destroy leaves behind
//	<state>/.locks/.subnets      held while a subnet is chosen
//
// It promises that a lab.json is whole at every instant, that only a folder
// marked as ours is ever removed, and that two commands never change one lab
// at the same time. It knows nothing of how machines are made.
package state
