// Package gate decides whether a release may be deployed, and says why not.
//
// Every gate is a pure function from facts to a Result: a verdict, one plain
// sentence, evidence, when the answer can change and who can change it. The
// same results are shown on a pull request, in the terminal and in the record,
// so that nobody has to ask why nothing moves.
//
// # Invariants
//
//   - Evaluate lists every gate, in order of precedence. None hides another.
//   - What was not asked or not answered is unknown, and unknown never passes.
//     A fact that is left out is the unfavourable one, except that nothing is
//     held, paused or owned by default.
//   - A less favourable fact never turns another verdict into a pass.
//   - Identity is the forge's numeric id. Logins are shown, never compared.
//   - A Reason is one line of printable text, whatever a title, a check or a
//     hold contains.
//   - What a gate that does not pass leads to, before and after the merge, is
//     decided by one table (meanings), and which gates are asked on which path
//     by another (precedence).
//
// # Windows and clocks
//
// A window opens at the times of its schedule on the clocks of the policy's zone
// and stays open for so much elapsed time. When clocks go forward, an opening in
// the hour that they skip happens as they do; when they go back, an opening in the
// hour that they show twice happens the first time only. So each time of each day
// opens at most once, no day loses an opening, and a window of ten hours is never
// one of nine or eleven. A dated freeze lasts from the start of its first day to
// the end of its last one, on the same clocks. Both are asked before a rollout
// begins; what runs is not stopped by them.
//
// # Concurrency
//
// Every function is pure and keeps nothing; facts are only read.
//
// # What it does not do
//
// It asks nobody anything and compares no content: whether two diffs are equal
// or a commit is in a branch arrives as an Answer. It does not decide what
// happens in git to a rejected promotion.
package gate
