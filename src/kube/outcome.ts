/**
 * What a reconcile, or a step of one, came to. It tells the controller when to look again; a change of a watched
 * object always makes it look at once, and a throw means "failed, retry with backoff".
 */
export type Outcome = Done | Waiting | Stalled;

/** Nothing left to do until something changes. */
export interface Done {
  readonly kind: 'done';
}

/** Something outside is on its way, and looking again after `afterMs` finds out. */
export interface Waiting {
  readonly kind: 'waiting';
  readonly afterMs: number;
  /** One CamelCase word, for logs and conditions. */
  readonly reason: string;
  /** What is waited for and what to do when it lasts, where the reason alone does not tell. */
  readonly message?: string;
}

/** Retrying does not help: somebody must change something first. */
export interface Stalled {
  readonly kind: 'stalled';
  /** One CamelCase word, for logs and conditions. */
  readonly reason: string;
  /** Names the object and the remedy; never holds a secret. */
  readonly message: string;
  /** When to look again all the same, where time changes what is to be said of it. */
  readonly afterMs?: number;
}

export const done: Done = { kind: 'done' };

export function waiting(afterMs: number, reason: string, message?: string): Waiting {
  return { kind: 'waiting', afterMs, reason, ...(message !== undefined && { message }) };
}

export function stalled(reason: string, message: string): Stalled {
  return { kind: 'stalled', reason, message };
}
