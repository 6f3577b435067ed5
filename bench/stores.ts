import { startAzurite } from '../test/e2e/support/azurite.ts';
import { startFakeGcs } from '../test/e2e/support/fake-gcs.ts';
import { createTranslatedBucket } from '../test/e2e/support/oss-to-s3.ts';
import { createBucket } from '../test/e2e/s3-bucket.ts';
import { script } from '../test/e2e/cluster.ts';
import { swiftContainer } from '../test/e2e/swift-container.ts';

/** A place that a server can be told to store in, empty. */
export interface Store extends AsyncDisposable {
  /** What goes below `storage` in a configuration; undefined for files. */
  readonly storage?: object;
  /** Variables that the server needs. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Where scripts/ceph keeps a gateway. Ours is in a place of its own: others may use, and end, the usual one. */
const CEPH_STATE = 'STEVEDORE_CEPH_STATE';

/** By the name of the driver. What is started for a store ends with it. */
export const stores: Readonly<Record<string, (folder: string) => Promise<Store>>> = {
  filesystem: async () => ({ async [Symbol.asyncDispose]() {} }),
  s3: async (folder) => onCeph(folder, async () => ({ storage: { s3: (await createBucket()).config } })),
  swift: async (folder) => onCeph(folder, async () => ({ storage: { swift: await swiftContainer() } })),
  oss: async (folder) =>
    onCeph(folder, async () => {
      const bucket = await createTranslatedBucket();
      return { storage: { oss: bucket.config }, end: () => bucket[Symbol.asyncDispose]() };
    }),
  azure: async () => {
    const azurite = await startAzurite();
    return {
      storage: { azure: { ...(await azurite.newContainer()), credentials: { type: 'shared_key' } } },
      [Symbol.asyncDispose]: () => azurite[Symbol.asyncDispose](),
    };
  },
  gcs: async () => {
    const emulator = await startFakeGcs();
    return {
      storage: { gcs: { bucket: await emulator.newBucket() } },
      environment: { STORAGE_EMULATOR_HOST: emulator.url },
      [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
    };
  },
};

/** A gateway keeps what was deleted in memory for hours, so each store has one of its own. */
async function onCeph(
  folder: string,
  open: () => Promise<{ readonly storage: object; readonly end?: () => PromiseLike<void> }>,
): Promise<Store> {
  process.env[CEPH_STATE] = `${folder}/ceph`;
  const stop = async (): Promise<void> => void (await script('ceph', ['down']));
  try {
    const { storage, end } = await open();
    return {
      storage,
      async [Symbol.asyncDispose]() {
        await end?.();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
