import type { Digest } from '../oci/digest.ts';
import type { FetchedManifest, ReferrerEntry } from '../oci-client/registry-client.ts';
import type { BlobContent } from '../oci-client/push-blob.ts';

/** One repository, or what stands for one in a file, to copy from. */
export interface ImageSource {
  /** For messages. */
  readonly title: string;
  /** Where the same registry could mount blobs from. */
  readonly origin?: { readonly registry: string; readonly repository: string };
  /** @param reference a tag or name, or a digest. @returns undefined when it is not there. */
  manifest(reference: string): Promise<FetchedManifest | undefined>;
  /** Bytes from `start` on. */
  blob(digest: Digest, start: number): AsyncIterable<Uint8Array>;
  /** Everything that has a tag or name. */
  tags(): Promise<readonly string[]>;
  referrers(subject: Digest): Promise<readonly ReferrerEntry[]>;
}

/** What became of a blob. */
export type BlobOutcome = 'copied' | 'mounted' | 'there';

/** One repository, or what stands for one in a file, to copy to. */
export interface ImageDestination {
  readonly title: string;
  /** False where there is room for one image alone. */
  readonly takesIndexes: boolean;
  /** The digest of what is there under a tag or digest. */
  resolve(reference: string): Promise<Digest | undefined>;
  /** @param sent is told how many bytes are on their way. */
  putBlob(content: BlobContent, source: ImageSource, sent: (bytes: number) => void): Promise<BlobOutcome>;
  /** Everything that it refers to is there already. Without a tag it is put under its digest. */
  putManifest(manifest: FetchedManifest, tag: string | undefined): Promise<void>;
}
