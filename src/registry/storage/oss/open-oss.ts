import type { OssOptions } from '../../../contract/config/oss-section.ts';
import type { Clock } from '../../../process/clock.ts';
import type { StorageDriver } from '../driver.ts';
import { TokenKeeper } from '../object-store/access-token.ts';
import { createObjectDriver } from '../object-store/object-driver.ts';
import { jitteredDelay } from '../object-store/store-client.ts';
import { S3Connection } from '../s3/s3-connection.ts';
import { S3Store } from '../s3/s3-store.ts';
import { OssAddress } from './oss-address.ts';
import { OssSignature } from './oss-signature.ts';

/** As in docker distribution: what is larger is copied in parts of so many bytes. */
const COPY_PART = 128 * 1024 * 1024;
const COPIES_AT_ONCE = 10;

export interface OssDependencies {
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens a bucket of OSS, whose API is that of S3 with names and signatures of its own.
 * @throws RegistryError UNAVAILABLE when OSS cannot be reached or refuses.
 */
export async function openOss(
  options: OssOptions,
  { clock, environment }: OssDependencies,
): Promise<StorageDriver> {
  const region = options.region.startsWith('oss-') ? options.region : `oss-${options.region}`;
  const address = new OssAddress({ ...options, region });
  const value = { accessKeyId: options.accesskeyid, secretAccessKey: options.accesskeysecret };
  const connection = new S3Connection({
    clock,
    environment,
    retryDelay: jitteredDelay(Math.random),
    address,
    objectHeaders: {
      'content-type': 'application/octet-stream',
      ...(options.encrypt && { 'x-oss-server-side-encryption': 'AES256' }),
    },
    signature: new OssSignature({ bucket: options.bucket, region }),
    credentials: new TokenKeeper(async () => ({ value, lifetime: Infinity }), clock),
    userAgent: 'stevedore',
    onAnswer: () => undefined,
  });
  // A bucket that cannot be used is to be found out at start.
  await connection.call({ method: 'GET', key: '', query: { 'list-type': '2', 'max-keys': '1' } });
  const store = new S3Store({
    name: 'oss',
    connection,
    clock,
    chunkSize: options.chunksize,
    copies: { chunkSize: COPY_PART, atOnce: COPIES_AT_ONCE },
    copyThreshold: COPY_PART,
  });
  return createObjectDriver(store, { rootDirectory: options.rootdirectory });
}
