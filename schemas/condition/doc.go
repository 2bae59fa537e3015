// Package condition reads and evaluates the conditions of custom gates: CEL
// expressions over a small, typed set of facts.
//
// # What a condition may speak about
//
//	release      environment, service, class, incident, version: string
//	             artifacts: list of {image, digest, repository, commit}
//	pullRequest  number, approvals: int; title, author: string; labels: list of string
//	checks       source, merge: map from "app/name" to what the latest run ended with
//	             ("success", "failure", …), or "pending"
//	upstream     environment: string; stableSince: timestamp
//	change       paths: list of string
//	now          timestamp
//
// A check is named together with the app that wrote it, because any app can write a
// check of any name. Only what all source commits have is in checks.source.
//
// # Invariants
//
//   - A condition that compiles is of type bool, has at most MaxLength characters
//     and an estimated cost within CostLimit, for facts of the sizes in sizes.go.
//   - Holds ends within CostLimit whatever the facts are: those that are larger than
//     estimates expect are not known, and what costs more all the same is an error.
//   - What is not known makes the answer unknown wherever it would matter. Neither an
//     unknown answer nor an error is ever true or false.
//
// # Concurrency
//
// A Condition may be used by several goroutines. There is no package state.
//
// # What it does not do
//
// It asks nobody anything, and it does not say what follows from an answer.
package condition
