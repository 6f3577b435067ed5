/** What a server says of itself at `GET /status` on the status port: facts for the operator, never secrets. */
export interface StatusDocument {
  readonly version: string;
  /** SHA-256, in hex, of the configuration file as it was read at the start. */
  readonly configHash: string;
  /** The certificate that new connections get. Absent without TLS. */
  readonly certificate?: {
    /** Lower-case hex, as X.509 tools print it, without separators. */
    readonly serial: string;
    /** RFC 3339, UTC. */
    readonly notAfter: string;
  };
  /** Absent when htpasswd is not configured. */
  readonly users?: {
    readonly count: number;
    /** SHA-256, in hex, of the file as it is in force. */
    readonly hash: string;
    /** Entries that were left out, by line, never with their content. */
    readonly errors: readonly { readonly line: number; readonly reason: string }[];
  };
  /** The access rules. Absent when none are configured. */
  readonly access?: {
    /** SHA-256, in hex, of the file as it is in force. */
    readonly hash: string;
    /** Why what is in the file now is not in force. */
    readonly error?: string;
  };
  /** What the last checks of the storage found. Absent where it is not checked (`health.storagedriver`). */
  readonly storage?: {
    /** Why it fails; absent while it does not. */
    readonly problem?: string;
  };
  readonly readOnly: {
    readonly active: boolean;
    /** `Configured`: maintenance.readonly. `Draining` and `Marking`: a collector's lease. */
    readonly reason?: 'Configured' | 'Draining' | 'Marking';
    /** RFC 3339, UTC. */
    readonly since?: string;
  };
  /** Upload sessions with a request in progress, or that had one in the last 30 s. */
  readonly openUploads: number;
  /** By endpoint, events that wait and events that were given up. Absent when nobody is told. */
  readonly notifications?: readonly {
    readonly endpoint: string;
    readonly pending: number;
    readonly deadLetters: number;
  }[];
  /** Of a mirror alone. */
  readonly mirror?: {
    readonly upstreams: readonly {
      readonly host: string;
      /** Whether it answered when it was asked last. Absent before that. */
      readonly reachable?: boolean;
      /** Why it did not give what it was asked for last; absent when it did. */
      readonly lastError?: string;
      /** Manifests that it will still give until its limit is renewed, where it tells. */
      readonly rateLimitRemaining?: number;
    }[];
    readonly cache: {
      /** Of content. */
      readonly bytes: number;
      /** Absent: as much as the volume has. */
      readonly limit?: number;
    };
  };
}
