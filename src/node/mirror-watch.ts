import type { Clock } from '../process/clock.ts';
import type { Probe, ProbeTarget } from './probe.ts';

/** What this node knows of a mirror. */
export interface MirrorHealth {
  /** `Answers`: pulls may go there. `Doubtful`: what is, stays. `Dead`: pulls must not go there any more. */
  readonly verdict: 'Answers' | 'Doubtful' | 'Dead';
  /** Why it is not `Answers`. */
  readonly reason: string;
}

/** So many failures in a row, over so long, and a mirror is dead: a pod that is replaced is not. */
const DEADLY_FAILURES = 3;
const DEADLY_MS = 30_000;

/** How often a mirror is asked that answered, and one that did not. */
const WHILE_ANSWERING_MS = 10_000;
const WHILE_FAILING_MS = 3000;

interface Watched {
  readonly target: ProbeTarget;
  askedAt: number;
  failures: number;
  failingSince: number;
  reason: string;
}

/** Keeps asking the mirrors that a plan names, and judges them by their last answers. */
export class MirrorWatch {
  readonly #probe: Probe;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #watched = new Map<string, Watched>();
  /** Since the start of the agent. */
  failedProbes = 0;

  constructor(probe: Probe, clock: Pick<Clock, 'monotonic'>) {
    this.#probe = probe;
    this.#clock = clock;
  }

  /** Asks those of the targets whose time has come, all at once, and forgets the others. */
  async ask(targets: readonly ProbeTarget[]): Promise<void> {
    const watched = new Map<string, Watched>();
    for (const target of targets) {
      const key = keyOf(target);
      watched.set(key, this.#watched.get(key) ?? unasked(target));
    }
    this.#watched = watched;
    const now = this.#clock.monotonic();
    const due = [...watched.values()].filter(
      ({ askedAt, failures }) => now - askedAt >= (failures === 0 ? WHILE_ANSWERING_MS : WHILE_FAILING_MS),
    );
    await Promise.all(due.map((one) => this.#askOne(one)));
  }

  healthOf(target: ProbeTarget): MirrorHealth {
    const watched = this.#watched.get(keyOf(target)) ?? unasked(target);
    const { failures, failingSince, reason } = watched;
    if (failures === 0 && watched.askedAt !== NEVER) return { verdict: 'Answers', reason: '' };
    const isDead = failures >= DEADLY_FAILURES && this.#clock.monotonic() - failingSince >= DEADLY_MS;
    return { verdict: isDead ? 'Dead' : 'Doubtful', reason };
  }

  async #askOne(watched: Watched): Promise<void> {
    const now = this.#clock.monotonic();
    watched.askedAt = now;
    const reason = await this.#probe(watched.target);
    if (reason === undefined) {
      watched.failures = 0;
      return;
    }
    if (watched.failures === 0) watched.failingSince = now;
    watched.failures += 1;
    watched.reason = reason;
    this.failedProbes += 1;
  }
}

const NEVER = -Infinity;

function unasked(target: ProbeTarget): Watched {
  return { target, askedAt: NEVER, failures: 0, failingSince: 0, reason: 'it has not been asked yet' };
}

function keyOf({ endpoint, ca, header }: ProbeTarget): string {
  return JSON.stringify([endpoint, ca, header]);
}
