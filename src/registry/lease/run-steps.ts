/**
 * The order of a collector's run (docs/decisions/0003-read-only-lease.md). Pure, so that `test/model/` explores what
 * `collect` does: every interleaving with servers, other collectors, stalls and late deletes.
 */

/**
 * `look`: is another run live? `declare`: its own file says `calling`. `look-again`: was somebody as fast? `withdraw`: it
 * says `done`, under a name that is not used again. `call`: servers say that they have seen the run, while they write.
 * `declare-draining`: its file says that writes are held. `drain`: servers hold them and end what is in progress.
 * `declare-marking`: has landed before anything is read. `mark`: the trash is listed, then roots are read. `sweep`: what is
 * needed comes back, what is not goes, each step under the fence. `release`: its file says `done`. `over`: nothing more is
 * written; a run that was not released lapses.
 */
export type RunStep =
  | 'look'
  | 'declare'
  | 'look-again'
  | 'withdraw'
  | 'call'
  | 'declare-draining'
  | 'drain'
  | 'declare-marking'
  | 'mark'
  | 'sweep'
  | 'release'
  | 'over';

/**
 * `others`: another run is live. `nothing`: there is nothing left to do. `failed`: the step ended without its result, or the lease may have ended by now.
 * `unanswered`: an operation that takes something away had no answer, and may still land.
 */
export type RunOutcome = 'done' | 'others' | 'nothing' | 'failed' | 'unanswered';

export function afterRunStep(step: RunStep, outcome: RunOutcome): RunStep {
  // Not released: whoever sees a run say `done` believes that nothing of it can still happen.
  if (outcome === 'unanswered') return 'over';
  switch (step) {
    case 'look':
      if (outcome === 'failed') return 'over';
      return outcome === 'others' ? 'look' : 'declare';
    case 'declare':
      return outcome === 'failed' ? 'release' : 'look-again';
    case 'look-again':
      if (outcome === 'failed') return 'release';
      return outcome === 'others' ? 'withdraw' : 'call';
    case 'withdraw':
      return outcome === 'failed' ? 'over' : 'look';
    case 'call':
      return outcome === 'done' ? 'declare-draining' : 'release';
    case 'declare-draining':
      return outcome === 'failed' ? 'release' : 'drain';
    case 'drain':
      return outcome === 'failed' ? 'release' : 'declare-marking';
    case 'declare-marking':
      return outcome === 'failed' ? 'release' : 'mark';
    case 'mark':
      return outcome === 'failed' ? 'release' : 'sweep';
    case 'sweep':
      return 'release';
    case 'release':
    case 'over':
  }
  return 'over';
}
