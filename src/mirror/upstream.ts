import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/repository-name.ts';
import type { Tag } from '../oci/tag.ts';

/** A manifest as it came: the bytes have `digest`. */
export interface UpstreamManifest {
  readonly digest: Digest;
  /** Without parameters, in lower case. */
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** What a tag leads to. */
export interface ResolvedTag {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of the manifest. */
  readonly size: number;
  /** Where the upstream had to be asked for all of it. */
  readonly content?: UpstreamManifest;
}

/** A blob on its way. Leaving `body` before its end closes the connection. */
export interface UpstreamBlob {
  /** Bytes of the whole blob. */
  readonly size: number;
  /** The byte of the blob that `body` begins with. */
  readonly start: number;
  /** Neither decoded nor verified. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A page of a list, as it came. */
export interface UpstreamPage {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** The query of the next page. */
  readonly next?: URLSearchParams;
}

/** A page of the referrers of a manifest. */
export interface ReferrersPage extends UpstreamPage {
  /** `OCI-Filters-Applied`. */
  readonly filtersApplied?: string;
}

/**
 * A registry that is mirrored, as the cache asks it. OCI distribution-spec, "Pull". Every method throws UpstreamError
 * alone, or the reason of its signal.
 */
export interface Upstream {
  /** By which clients choose it, in lower case: `docker.io`, `registry.example.com:5000`. */
  readonly host: string;
  /** By HEAD, which Docker Hub does not count; by GET where that does not tell. */
  resolve(repository: RepositoryName, tag: Tag, signal: AbortSignal): Promise<ResolvedTag>;
  /** Verified against the digest. */
  manifest(repository: RepositoryName, digest: Digest, signal: AbortSignal): Promise<UpstreamManifest>;
  /** From byte `start` on. */
  blob(
    repository: RepositoryName,
    digest: Digest,
    options: { readonly start: number; readonly signal: AbortSignal },
  ): Promise<UpstreamBlob>;
  tags(repository: RepositoryName, query: URLSearchParams, signal: AbortSignal): Promise<UpstreamPage>;
  /** @returns undefined when the upstream has neither the API nor the fallback tag. */
  referrers(
    repository: RepositoryName,
    digest: Digest,
    query: URLSearchParams,
    signal: AbortSignal,
  ): Promise<ReferrersPage | undefined>;
}

export type UpstreamErrorKind =
  | 'not-found'
  /** 401, 403, or credentials that may not go where they are asked for. */
  | 'denied'
  /** 408, 429, or a pause that the upstream asked for. */
  | 'busy'
  /** 5xx, the network, TLS, time. */
  | 'unavailable'
  /** Wrong bytes, or an answer without sense. */
  | 'invalid';

/** Why an upstream did not give what was asked for; what a mirror does about it depends on the kind alone. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly kind: UpstreamErrorKind;
  /** Of the answer, where there was one. */
  readonly status: number | undefined;
  /** Milliseconds before which asking again is of no use. */
  readonly retryAfter: number | undefined;

  constructor(
    kind: UpstreamErrorKind,
    message: string,
    options: { readonly status?: number; readonly retryAfter?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
  }
}
