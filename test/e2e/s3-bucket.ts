import { randomBytes } from 'node:crypto';
import type { S3Options } from '../../src/contract/config/s3-section.ts';
import { systemClock } from '../../src/process/clock.ts';
import { TokenKeeper } from '../../src/registry/storage/object-store/access-token.ts';
import { S3Address } from '../../src/registry/storage/s3/s3-address.ts';
import { S3Connection } from '../../src/registry/storage/s3/s3-connection.ts';
import { SignatureV2 } from '../../src/registry/storage/s3/signature-v2.ts';
import { SignatureV4 } from '../../src/registry/storage/s3/signature-v4.ts';
import { s3Options } from '../support/s3-options.ts';
import { cephGateway } from './ceph-gateway.ts';

/** A bucket of the Ceph gateway, for as long as that runs. */
export interface TestBucket {
  /** What goes below `storage.s3` in a configuration, also of docker distribution. */
  readonly config: Readonly<Record<string, string | boolean | number>>;
  /** As decoded, with changes. */
  options(changes?: Readonly<Record<string, string>>): S3Options;
  /** To the bucket, past the driver. */
  connect(changes?: Readonly<Record<string, string>>): BucketConnection;
}

interface BucketConnection {
  readonly connection: S3Connection;
  readonly address: S3Address;
}

/** Makes a new bucket. */
export async function createBucket(): Promise<TestBucket> {
  const gateway = await cephGateway();
  const bucket = `bucket-${randomBytes(8).toString('hex')}`;
  const config = {
    bucket,
    region: 'us-east-1',
    regionendpoint: gateway.url,
    // Go's client sends its password along to another port of the same host, which the gateway refuses.
    redirectendpoint: gateway.url.replace('127.0.0.1', 'localhost'),
    forcepathstyle: true,
    secure: false,
    accesskey: gateway.accessKey,
    secretkey: gateway.secretKey,
  };
  const options = (changes = {}): S3Options => s3Options({ ...config, ...changes });
  const connect = (changes = {}): BucketConnection => connectionTo(options(changes));
  await connect().connection.call({ method: 'PUT', key: '' });
  return { config, options, connect };
}

function connectionTo(options: S3Options): BucketConnection {
  const { accesskey = '', secretkey = '', region = '' } = options;
  const credentials = { accessKeyId: accesskey, secretAccessKey: secretkey };
  const address = new S3Address({ ...options, region });
  const connection = new S3Connection({
    clock: systemClock,
    environment: {},
    retryDelay: () => undefined,
    address,
    objectHeaders: {},
    signature: options.v4auth
      ? new SignatureV4({ region, service: 's3' })
      : new SignatureV2((url) => address.resource(url)),
    credentials: new TokenKeeper(async () => ({ value: credentials, lifetime: Infinity }), systemClock),
    userAgent: 'test',
    onAnswer: () => undefined,
  });
  return { connection, address };
}
