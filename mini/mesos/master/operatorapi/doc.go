// Package operatorapi serves the v1 operator API of a Mesos 1.3.2 master
// (POST /api/v1) on top of a cluster.
//
// Nouns. A call asks for something (GET_STATE, …), changes something
// (TEARDOWN, UPDATE_WEIGHTS, START_MAINTENANCE, …) or subscribes to changes. Its
// answer is a mesos-go Response in JSON or protobuf, as Accept says.
//
// What is answered are the calls of 1.3.2. Texts and the order of the checks
// are those of its captures. SUBSCRIBE gets SUBSCRIBED with the state, then
// AGENT_ADDED, AGENT_REMOVED, TASK_ADDED and TASK_UPDATED; 1.3.2 has neither
// heartbeats nor framework events here, and says nothing when an agent turns
// unreachable. A subscriber that is too far behind is cut off.
//
// Calls of later versions are unknown, as they are to 1.3.2. There are no files:
// LIST_FILES and READ_FILE find nothing. Who leads is asked before a request
// comes here.
package operatorapi
