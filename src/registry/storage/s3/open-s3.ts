import type { S3Options } from '../../../contract/config/s3-section.ts';
import type { StorageDriver } from '../driver.ts';
import { TokenKeeper } from '../object-store/access-token.ts';
import { createObjectDriver } from '../object-store/object-driver.ts';
import { jitteredDelay, StoreClient } from '../object-store/store-client.ts';
import type { StorageDependencies } from '../open-storage.ts';
import { checkBucket } from './check-bucket.ts';
import type { Credentials } from './credentials.ts';
import { findCredentials } from './find-credentials.ts';
import { requestLog } from './request-log.ts';
import { S3Address } from './s3-address.ts';
import { S3Connection } from './s3-connection.ts';
import { S3Store } from './s3-store.ts';
import { SignatureV2 } from './signature-v2.ts';
import { SignatureV4 } from './signature-v4.ts';

/** What is signed for when the store has no regions. */
const NO_REGION = 'us-east-1';

/**
 * Opens a bucket and looks into it, so that wrong options are found at once.
 * @throws Error that says which option to look at; RegistryError UNAVAILABLE when the store does not answer.
 */
export async function openS3(options: S3Options, deps: StorageDependencies): Promise<StorageDriver> {
  const { clock, environment, log } = deps;
  const region = options.region ?? NO_REGION;
  const address = new S3Address({ ...options, region });
  const connection = new S3Connection({
    clock,
    environment,
    retryDelay: jitteredDelay(Math.random),
    skipVerify: options.skipverify,
    address,
    objectHeaders: objectHeaders(options),
    signature: options.v4auth
      ? new SignatureV4({ region, service: 's3' })
      : new SignatureV2((url) => address.resource(url)),
    credentials: credentialsOf(options, region, deps),
    userAgent: ['stevedore', options.useragent].filter(Boolean).join(' '),
    onAnswer: requestLog(options.loglevel, log),
  });
  await checkBucket(connection, options, clock);
  const store = new S3Store({
    name: 's3',
    connection,
    clock,
    chunkSize: options.chunksize,
    copies: { chunkSize: options.multipartcopychunksize, atOnce: options.multipartcopymaxconcurrency },
    copyThreshold: options.multipartcopythresholdsize,
    ...(options.redirectendpoint !== undefined && { redirectEndpoint: new URL(options.redirectendpoint) }),
  });
  return createObjectDriver(store, { rootDirectory: options.rootdirectory });
}

function credentialsOf(
  { accesskey, secretkey, skipverify }: S3Options,
  region: string,
  { clock, environment }: StorageDependencies,
): TokenKeeper<Credentials> {
  if (accesskey !== undefined && secretkey !== undefined) {
    const value = { accessKeyId: accesskey, secretAccessKey: secretkey };
    return new TokenKeeper(async () => ({ value, lifetime: Infinity }), clock);
  }
  const retryDelay = jitteredDelay(Math.random);
  const client = new StoreClient({ clock, environment, retryDelay, skipVerify: skipverify });
  const local = new StoreClient({ clock, environment: {}, retryDelay });
  return findCredentials({ region, clock, environment, client, local });
}

/** What each object is made with. Amazon wants no ACL named in buckets that have none, and `private` is what they are. */
function objectHeaders(options: S3Options): Readonly<Record<string, string>> {
  const { encrypt, keyid, objectacl, storageclass } = options;
  return {
    'content-type': 'application/octet-stream',
    ...(objectacl !== 'private' && { 'x-amz-acl': objectacl }),
    ...(encrypt && { 'x-amz-server-side-encryption': keyid === undefined ? 'AES256' : 'aws:kms' }),
    ...(encrypt && keyid !== undefined && { 'x-amz-server-side-encryption-aws-kms-key-id': keyid }),
    ...(!['none', 'standard'].includes(storageclass) && {
      'x-amz-storage-class': storageclass.toUpperCase(),
    }),
  };
}
