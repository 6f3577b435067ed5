import type { Config } from '../contract/config/config.ts';
import { mirrorSettings } from '../contract/config/mirror-settings.ts';
import { storageKind, type StorageKind } from '../registry/storage/open-storage.ts';

const NOBODY_ELSE = 'Nothing but Stevedore may write there meanwhile.';

/** A delete that the store itself refuses once the lease is over. */
const SIGNED = (how: string): string =>
  `Deletes are ${how} that expire with the collector's lease, by the clock of the store: this assumes that the store refuses them then. ${NOBODY_ELSE}`;

/** What is left where a store can neither rename at once nor refuse a delete that is late. */
const UNFENCED = (remedy: string): string =>
  `Deletes do not expire here: this assumes that none is held up on its way for longer than 15 s. ${remedy} ${NOBODY_ELSE}`;

const assumptions: Readonly<Record<StorageKind, (storage: Config['storage']) => string>> = {
  filesystem: () =>
    `Deletes are renames into a trash, so that one which is late destroys nothing: no more is assumed of the file system than atomic renames. ${NOBODY_ELSE}`,
  inmemory: () => 'Content is in the memory of the server alone, where no other process can collect it.',
  s3: () => SIGNED('presigned requests'),
  oss: () => SIGNED('presigned requests'),
  azure: () => SIGNED('requests with a shared access signature'),
  gcs: ({ gcs }) =>
    gcs?.credentials || gcs?.keyfile
      ? SIGNED('signed URLs')
      : `Where the platform's service account may sign, deletes are signed URLs that expire with the lease. Otherwise: ${UNFENCED('Give it a key file.')}`,
  swift: ({ swift }) =>
    `${swift?.secretkey ? SIGNED('temporary URLs') : UNFENCED('Set storage.swift.secretkey.')} Lists of OpenStack Swift lag behind: run one collector at a time there.`,
};

/**
 * Why a garbage collection on the configured storage cannot destroy what somebody still needs, or what has to be true for
 * that (docs/decisions/0003-read-only-lease.md). One line.
 */
export function collectionAssumption(config: Config): string {
  if (mirrorSettings(config) !== undefined)
    return 'None: a mirror itself drops what was not pulled for the longest time (stevedore.mirror.cache).';
  return assumptions[storageKind(config)](config.storage);
}
