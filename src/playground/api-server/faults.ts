import type { JsonObject } from './kind.ts';

/** What a request asks for, as authorization and the fault switches see it. */
export interface RequestInfo {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** The plural. */
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly user: string;
}

/** What to do with one event of a watch: nothing, lose it, send it twice, wait, or send this and all later ones never. */
export type WatchFault = 'pass' | 'drop' | 'repeat' | 'stall' | { readonly delayMs: number };

/** Switches by which a test makes one instance misbehave. Each is asked every time; what is absent never happens. */
export interface Faults {
  /** Answer this in place of doing what is asked. */
  answer?(request: RequestInfo): FaultAnswer | undefined;
  /** Cut the connection after the work is done and before the answer is sent. */
  loseAnswer?(request: RequestInfo): boolean;
  watchEvent?(
    request: RequestInfo,
    event: { readonly type: string; readonly object: JsonObject },
  ): WatchFault;
  /** End a watch right after it began, or answer 410: as the server does when it restarts or has forgotten. */
  staleBy?(request: RequestInfo): number | undefined;
  /** True: the process dies here, before or after the write is in the log, and answers nobody any more. */
  crash?(point: 'before' | 'after', write: { readonly resource: string; readonly key: string }): boolean;
}

interface FaultAnswer {
  readonly code: 409 | 410 | 429 | 500 | 503;
  readonly retryAfterSeconds?: number;
}
