package scenarios

// control spoils the control plane only.
func control(c controlSabotage) sabotage { return sabotage{controlSabotage: c} }

// controlMutants are those of the scenarios about the control plane.
var controlMutants = []mutant{
	{"master-restart", "placebo", sabotage{}, Inconclusive, "ended"},
	{"master-restart", "no engine has seen an end", control(controlSabotage{secretEnd: true}), Inconclusive, "ended"},
	{"master-restart", "it goes on answering", control(controlSabotage{immortal: true}), Inconclusive, "unanswered"},
	{"master-restart", "Marathon does not lead again", control(controlSabotage{neverLeads: true}), Inconclusive, "resumed"},
	{"master-restart", "Marathon is another framework", control(controlSabotage{newFramework: true}), Fail, "resumed"},
	{"master-restart", "Marathon launches without a master", control(controlSabotage{eager: true}), Fail, "waiting"},
	{"master-restart", "the same master leads", control(controlSabotage{sameMaster: true}), Inconclusive, "reelected"},
	{"master-restart", "the slaves are new ones", control(controlSabotage{strangers: true}), Fail, "reelected"},
	{"master-restart", "the framework does not register again", control(controlSabotage{lateFramework: true}), Inconclusive, "reelected"},
	{"master-restart", "what waited is not launched", control(controlSabotage{neverLaunches: true}), Inconclusive, "launched"},
	{"master-restart", "every container was started again", control(controlSabotage{restartedTasks: true}), Fail, "untouched"},
	{"master-restart", "a task was lost", control(controlSabotage{lostTask: true}), Fail, "untouched"},
	{"master-restart", "clients notice", control(controlSabotage{fragile: true}), Fail, "untouched"},
	{"master-restart", "one container too many", sabotage{surplus: true}, Fail, "whole"},

	{"marathon-restart", "placebo", sabotage{}, Inconclusive, "ended"},
	{"marathon-restart", "no engine has seen an end", control(controlSabotage{secretEnd: true}), Inconclusive, "ended"},
	{"marathon-restart", "it goes on answering", control(controlSabotage{immortal: true}), Inconclusive, "unanswered"},
	{"marathon-restart", "every container was started again", control(controlSabotage{restartedTasks: true}), Fail, "untouched"},
	{"marathon-restart", "clients notice", control(controlSabotage{fragile: true}), Fail, "untouched"},
	{"marathon-restart", "somebody else replaces the task", control(controlSabotage{ghost: true}), Fail, "unreplaced"},
	{"marathon-restart", "its process is the old one", control(controlSabotage{sameProcess: true}), Inconclusive, "resumed"},
	{"marathon-restart", "it does not lead again", control(controlSabotage{neverLeads: true}), Inconclusive, "resumed"},
	{"marathon-restart", "it is another framework", control(controlSabotage{newFramework: true}), Fail, "resumed"},
	{"marathon-restart", "it never hears of the task", control(controlSabotage{forgetsTask: true}), Inconclusive, "replaced"},
	{"marathon-restart", "load balancer frozen", sabotage{blindBalancer: true}, Inconclusive, "serving"},

	{"lb-restart", "placebo", sabotage{}, Inconclusive, "ended"},
	{"lb-restart", "no engine has seen an end", control(controlSabotage{secretEnd: true}), Inconclusive, "ended"},
	{"lb-restart", "it goes on answering", control(controlSabotage{immortal: true}), Inconclusive, "unanswered"},
	{"lb-restart", "clients are served all the same", control(controlSabotage{otherDoor: true}), Inconclusive, "outage"},
	{"lb-restart", "it serves nobody afterwards", control(controlSabotage{shutDoor: true}), Inconclusive, "answering"},
	{"lb-restart", "every container was started again", control(controlSabotage{restartedTasks: true}), Fail, "untouched"},
	{"lb-restart", "a task was lost", control(controlSabotage{lostTask: true}), Fail, "untouched"},
	{"lb-restart", "one container too many", sabotage{surplus: true}, Fail, "whole"},
}
