import type { WriteGate } from '../lease/write-gate.ts';
import type { EventSink } from '../notifications/event-sink.ts';
import type { PullRecorder } from '../pulls/pull-recorder.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { StorageDriver } from '../storage/driver.ts';
import type { ManifestStore } from '../storage/manifest-store.ts';
import type { TagStore } from '../storage/tag-store.ts';
import type { UploadStore } from '../storage/upload-store.ts';
import type { Links } from './links.ts';

/** What the handlers work on. */
export interface HandlerContext {
  readonly driver: StorageDriver;
  readonly blobs: BlobStore;
  readonly uploads: UploadStore;
  readonly manifests: ManifestStore;
  readonly tags: TagStore;
  readonly gate: WriteGate;
  readonly links: Links;
  /** Is told of what a request did, before the answer. */
  readonly events: EventSink;
  /** Is told by which name a manifest was pulled, where that is recorded. */
  readonly pulls: Pick<PullRecorder, 'record'> | undefined;
  readonly deletesEnabled: boolean;
  /** Clients read blobs from the store itself, where it lets them. */
  readonly redirectsEnabled: boolean;
  /** Largest `n` of a catalog request. */
  readonly catalogMaxEntries: number;
  /** Largest page of tags. */
  readonly tagsMaxPage: number;
}
