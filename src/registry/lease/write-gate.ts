/**
 * What the writing parts of the registry ask of the read-only lease (DESIGN: docs/decisions on the lease). Every visible
 * write takes a permit, so that no write can go past a collector unnoticed.
 */
export interface WriteGate {
  /**
   * Asks to write. Answers at once when no collector holds the lease; otherwise holds the caller until it is free.
   * @throws RegistryError UNAVAILABLE with Retry-After after 15 s, or UNSUPPORTED (405) when read-only is configured.
   */
  begin(kind: WriteKind, signal?: AbortSignal): Promise<WritePermit>;
  /** A permit if one can be had at once, else undefined: for refreshing an age, which may be left out. */
  tryBegin(): Promise<WritePermit | undefined>;
}

/**
 * `open`: a new upload session, a mount or anything else that begins something; `upload`: bytes for, commit of or
 * cancelling an upload that is open, which go on while a collector drains; `manifest`: a manifest or tag write;
 * `delete`: a delete by a user.
 */
export type WriteKind = 'open' | 'upload' | 'manifest' | 'delete';

export interface WritePermit extends Disposable {
  /**
   * Call right before each visible write. Renews the permission when it is about to lapse.
   * @throws RegistryError UNAVAILABLE when it lapsed and a collector is live now.
   */
  check(): Promise<void>;
  /**
   * Call after a visible write, before it is acknowledged: lists the runs again.
   * `verify`: a run came and went meanwhile, so check every reference again and restore or refuse.
   * @throws RegistryError UNAVAILABLE when a live run is marking: the write may be missed by it, so it is not acknowledged.
   */
  validate(): Promise<'unchanged' | 'verify'>;
  /** Ends the permit; must be called on every path (`using`). */
  [Symbol.dispose](): void;
}

/** Counts upload sessions for announcements: a session is open while a request is in progress and 10 s after. */
export interface UploadActivity {
  /** An upload request begins; dispose when it ends. */
  enter(uploadId: string): Disposable;
  /** The session is over (committed, cancelled). */
  leave(uploadId: string): void;
}
