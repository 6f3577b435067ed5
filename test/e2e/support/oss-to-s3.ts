import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../src/process/clock.ts';
import { StoreClient, type StoreRequest } from '../../../src/registry/storage/object-store/store-client.ts';
import { OssSignature } from '../../../src/registry/storage/oss/oss-signature.ts';
import { S3Address } from '../../../src/registry/storage/s3/s3-address.ts';
import { SignatureV4, UNSIGNED_PAYLOAD } from '../../../src/registry/storage/s3/signature-v4.ts';
import { createBucket } from '../s3-bucket.ts';

/** A bucket of a Ceph gateway that looks like one of OSS. */
export interface TranslatedBucket extends AsyncDisposable {
  /** What goes below `storage.oss` in a configuration. */
  readonly config: Readonly<Record<string, string>>;
  /** Requests so far, as OSS would see them. */
  readonly received: readonly StoreRequest[];
}

const REGION = 'oss-cn-test';
const BUCKET = 'images';
const KEYS = { accessKeyId: 'id', secretAccessKey: 'secret' };

/**
 * There is no server of OSS to be had. This one checks that each request is signed as OSS wants it, refuses URLs whose time is
 * over, and passes the rest on to the S3 API of Ceph under the names of Amazon.
 */
export async function createTranslatedBucket(): Promise<TranslatedBucket> {
  const s3 = (await createBucket()).options();
  const address = new S3Address({ ...s3, region: s3.region ?? '' });
  const signature = new SignatureV4({ region: s3.region ?? '', service: 's3' });
  const keys = { accessKeyId: s3.accesskey ?? '', secretAccessKey: s3.secretkey ?? '' };
  const ceph = new StoreClient({ clock: systemClock, environment: {}, retryDelay: () => undefined });
  const received: StoreRequest[] = [];

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await requestOf(incoming);
    received.push(request);
    if (!isSigned(request)) {
      response.writeHead(403).end('<Error><Code>SignatureDoesNotMatch</Code></Error>');
      return;
    }
    const { status, headers, body } = await ceph.fetch(
      signature.sign(asS3Request(request, address, s3.bucket), keys, Date.now()),
    );
    response.sendDate = false;
    response.writeHead(status, headers);
    // What HEAD tells of the length is the object's.
    response.end(body);
  }

  const server = createServer((incoming, response) => {
    answer(incoming, response).catch((error: unknown) => response.destroy(new Error(String(error))));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // of a TCP listener
  return {
    received,
    config: {
      accesskeyid: KEYS.accessKeyId,
      accesskeysecret: KEYS.secretAccessKey,
      region: REGION,
      bucket: BUCKET,
      endpoint: `127.0.0.1:${port}`,
      secure: 'false',
    },
    async [Symbol.asyncDispose]() {
      await ceph.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function requestOf(incoming: IncomingMessage): Promise<StoreRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer); // a stream without an encoding has buffers
  const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]);
  return {
    method: incoming.method as StoreRequest['method'], // the driver sends no other
    url: new URL(incoming.url ?? '', `http://${incoming.headers.host}`),
    headers: Object.fromEntries(headers),
    ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
  };
}

/** Signs what came as the driver should have, and compares. */
function isSigned({ method, url, headers = {} }: StoreRequest): boolean {
  const signature = new OssSignature({ bucket: BUCKET, region: REGION });
  const time = url.searchParams.get('x-oss-date') ?? headers['x-oss-date'] ?? '';
  const date = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  const seconds = Number(url.searchParams.get('x-oss-expires') ?? NaN);
  if (Number.isNaN(seconds)) {
    const { authorization, ...signed } = headers;
    return (
      signature.sign({ method, url, headers: signed }, KEYS, date).headers?.['authorization'] ===
      authorization
    );
  }
  const unsigned = new URL(url);
  unsigned.searchParams.delete('x-oss-signature');
  const own = signature.presign({ method, url: unsigned }, KEYS, { date, seconds });
  const given = url.searchParams.get('x-oss-signature');
  return own.searchParams.get('x-oss-signature') === given && date + seconds * 1000 > Date.now();
}

function asS3Request(
  { method, url, headers = {}, body }: StoreRequest,
  address: S3Address,
  bucket: string,
): StoreRequest {
  const query = new URLSearchParams([...url.searchParams].filter(([name]) => !name.startsWith('x-oss-')));
  const target = address.url(decodeURIComponent(url.pathname.slice(1)), query.toString());
  const kept = Object.entries(headers)
    .filter(([name]) => /^(?:content-type|content-md5|range|x-oss-.*)$/.test(name))
    .filter(([name]) => !/^x-oss-(?:date|content-sha256|range-behavior)$/.test(name))
    .map(([name, value]) => [name.replace(/^x-oss-/, 'x-amz-'), value.replace(/^\/images\//, `${bucket}/`)]);
  return {
    method,
    url: target,
    headers: { ...Object.fromEntries(kept), 'x-amz-content-sha256': UNSIGNED_PAYLOAD },
    ...(body !== undefined && { body }),
  };
}
