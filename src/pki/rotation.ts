/**
 * When a certificate authority is replaced, and by which of two the server certificate is signed meanwhile. Nobody who
 * trusts the published bundle may ever meet a certificate that the bundle does not verify:
 *
 *     made ──► published beside the old one ──► signs, once the bundle has been out long enough ──► the old one leaves,
 *                                                a grace after every server has a certificate of the new one
 */

/** An authority of a Registry, with what happened to it. Times are milliseconds since the epoch. */
export interface AuthorityState {
  /** Where it is kept. */
  readonly name: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Since when it has been in every bundle; undefined: not yet. */
  readonly publishedAt: number | undefined;
  /** Whether it has the key and the constraints that the spec asks for. */
  readonly fitsSpec: boolean;
}

export interface RotationState {
  /** By age, the oldest first; not empty. */
  readonly authorities: readonly AuthorityState[];
  /** Of the server certificate that is there. */
  readonly issued:
    | {
        /** The name of the authority that signed it; undefined: none of these. */
        readonly by: string | undefined;
        readonly at: number;
        /** Whether the servers say that they serve it. */
        readonly serving: boolean;
      }
    | undefined;
  readonly now: number;
}

export interface RotationTimes {
  /** How long a bundle is out before a certificate needs it; at least a day. */
  readonly overlapMs: number;
  /** How long the old authority stays in the bundle after the last certificate from it was replaced. */
  readonly graceMs: number;
  /** For how long a server certificate is issued. */
  readonly certificateMs: number;
}

export interface RotationPlan {
  /** Whether a new authority is to be made. */
  readonly make: boolean;
  /** The name of the authority that signs. */
  readonly signer: string;
  /** Names of those that have done their work. */
  readonly retire: readonly string[];
  /** When time alone changes the plan next; undefined: it does not. */
  readonly nextAt: number | undefined;
}

const SHORTEST_OVERLAP_MS = 24 * 3_600_000;

/** What is to be done now. Done and asked again, the plan comes to an end at the same time. */
export function planRotation(state: RotationState, times: RotationTimes): RotationPlan {
  const { authorities, now } = state;
  const [newest] = authorities.slice(-1);
  if (newest === undefined) throw new RangeError('there is no authority to plan for');
  const signer = signerOf(state, times);
  const beforeSigner = authorities.slice(0, authorities.indexOf(signer));
  const retireAt = retirement(state, times, signer);
  const retiring = beforeSigner.filter(({ notAfter }) => now >= Math.min(retireAt, notAfter));
  // One change at a time: what is on its way ends first.
  const settled = signer === newest && beforeSigner.length === 0;
  const replaceAt = newest.fitsSpec ? replacementTime(newest, times) : -Infinity;
  return {
    make: (settled && now >= replaceAt) || now >= newest.notAfter,
    signer: signer.name,
    retire: retiring.map(({ name }) => name),
    nextAt: earliestAfter(now, [
      ...(settled ? [replaceAt] : []),
      ...(signer === newest ? [] : [switchTime(signer, following(authorities, signer) ?? newest, times)]),
      ...(beforeSigner.length === 0 ? [] : [retireAt]),
    ]),
  };
}

/** So early that certificates of the old one need not be cut short while the bundle goes round, if its life allows. */
function replacementTime({ notBefore, notAfter }: AuthorityState, times: RotationTimes): number {
  const half = notBefore + (notAfter - notBefore) / 2;
  return Math.max(half, notAfter - times.overlapMs - times.certificateMs);
}

/** The newest that may sign: the first signs until the second's time has come, and so on. */
function signerOf({ authorities, issued, now }: RotationState, times: RotationTimes): AuthorityState {
  const already = authorities.findIndex(({ name }) => name === issued?.by);
  let signer = Math.max(0, already);
  for (;;) {
    const [current, next] = [authorities[signer], authorities[signer + 1]];
    if (current === undefined) throw new RangeError('there is no authority to plan for');
    if (next === undefined || now < switchTime(current, next, times)) return current;
    signer++;
  }
}

/**
 * When `next` signs in place of `current`. A bundle that was late must still be out for a day, unless `current` has
 * ended, when nobody can be worse off.
 */
function switchTime(current: AuthorityState, next: AuthorityState, { overlapMs }: RotationTimes): number {
  if (next.publishedAt === undefined) return Infinity;
  const latest = current.notAfter - SHORTEST_OVERLAP_MS;
  const due = Math.min(next.publishedAt + Math.max(overlapMs, SHORTEST_OVERLAP_MS), latest);
  return Math.min(
    Math.max(due, next.publishedAt + SHORTEST_OVERLAP_MS),
    Math.max(current.notAfter, next.publishedAt),
  );
}

/** When those before the signer may go; their own end comes first if it does. */
function retirement({ issued }: RotationState, { graceMs }: RotationTimes, signer: AuthorityState): number {
  return issued?.by === signer.name && issued.serving ? issued.at + graceMs : Infinity;
}

function following(authorities: readonly AuthorityState[], one: AuthorityState): AuthorityState | undefined {
  return authorities[authorities.indexOf(one) + 1];
}

function earliestAfter(now: number, times: readonly number[]): number | undefined {
  const ahead = times.filter((time) => time > now && Number.isFinite(time));
  return ahead.length === 0 ? undefined : Math.min(...ahead);
}
