import { hash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { elements, elementText, escapeXml } from '../../src/registry/storage/object-store/xml.ts';

/** A request as it came. */
export interface S3Request {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface S3Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

interface Upload {
  readonly key: string;
  readonly parts: Map<number, Buffer>;
}

/**
 * A stand-in for Amazon S3, as far as the registry speaks to it: one bucket in memory, path style, signatures not looked
 * at. The real thing that the driver is tested on is a Ceph gateway, in the e2e tests.
 */
export class S3StandIn {
  readonly objects = new Map<string, Buffer>();
  /** By key, when the object got its content; of one that a test put there, when it was first looked at. */
  readonly #dates = new Map<string, { readonly content: Buffer; readonly date: Date }>();
  readonly uploads = new Map<string, Upload>();
  readonly requests: S3Request[] = [];
  /** Entries in one page of a list. */
  pageSize = 1000;
  /** Answers in place of the bucket, or lets it answer. `'cut'` breaks the connection. */
  intercept: (request: S3Request) => S3Reply | 'cut' | undefined | Promise<S3Reply | 'cut' | undefined> =
    () => undefined;
  url = '';

  /** The requests so far, as `PUT key` with the names of parameters that say what it is. */
  get calls(): readonly string[] {
    return this.requests.map(
      ({ method, key, query }) =>
        `${method} ${key}${query.size > 0 ? '?' : ''}${[...query.keys()].join('&')}`,
    );
  }

  answer(request: S3Request): S3Reply {
    const { method, key, query } = request;
    if (key === '') return this.#answerBucket(request);
    const uploadId = query.get('uploadId');
    if (uploadId !== null) return this.#answerUpload(request, uploadId);
    if (method === 'POST') return this.#beginUpload(key);
    if (method === 'PUT') return this.#put(request);
    const object = this.objects.get(key);
    if (method === 'DELETE') {
      this.objects.delete(key);
      return { status: 204 };
    }
    if (object === undefined) return refusal(404, 'NoSuchKey');
    const dates = {
      'last-modified': this.#dateOf(key, object).toUTCString(),
      date: new Date().toUTCString(),
    };
    if (method === 'HEAD')
      return { status: 200, headers: { ...dates, 'content-length': String(object.length) } };
    return range(object, request.headers.range);
  }

  #answerBucket({ method, query, body }: S3Request): S3Reply {
    if (method === 'POST') {
      for (const object of elements(body.toString(), 'Object'))
        this.objects.delete(elementText(object, 'Key') ?? '');
      return xml('<DeleteResult/>');
    }
    return query.has('uploads') ? this.#listUploads(query) : this.#list(query);
  }

  #put({ key, headers, body }: S3Request): S3Reply {
    const source = headers['x-amz-copy-source'];
    const content = source === undefined ? body : this.objects.get(keyOf(String(source)));
    if (content === undefined) return refusal(404, 'NoSuchKey');
    this.#store(key, content);
    return source === undefined
      ? { status: 200 }
      : xml(`<CopyObjectResult><ETag>${etag(content)}</ETag></CopyObjectResult>`);
  }

  #store(key: string, content: Buffer): void {
    this.objects.set(key, content);
    this.#dates.set(key, { content, date: new Date() });
  }

  #dateOf(key: string, content: Buffer): Date {
    const known = this.#dates.get(key);
    if (known?.content === content) return known.date;
    const date = new Date();
    this.#dates.set(key, { content, date });
    return date;
  }

  #beginUpload(key: string): S3Reply {
    const id = randomUUID();
    this.uploads.set(id, { key, parts: new Map() });
    return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  #answerUpload({ method, query, headers, body }: S3Request, id: string): S3Reply {
    const upload = this.uploads.get(id);
    if (upload === undefined) return refusal(404, 'NoSuchUpload');
    if (method === 'DELETE') this.uploads.delete(id);
    if (method === 'DELETE') return { status: 204 };
    if (method === 'GET') return this.#listParts(upload, Number(query.get('part-number-marker')));
    if (method === 'POST') return this.#complete(id, upload, body.toString());
    const source = headers['x-amz-copy-source'];
    const copied =
      source === undefined ? undefined : (this.objects.get(keyOf(String(source))) ?? Buffer.alloc(0));
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(String(headers['x-amz-copy-source-range'])) ?? [];
    const part = copied?.subarray(Number(first), Number(last) + 1) ?? body;
    upload.parts.set(Number(query.get('partNumber')), part);
    if (copied) return xml(`<CopyPartResult><ETag>${etag(part)}</ETag></CopyPartResult>`);
    return { status: 200, headers: { etag: etag(part) } };
  }

  #complete(id: string, upload: Upload, body: string): S3Reply {
    const parts = elements(body, 'Part').map((part) => {
      const content = upload.parts.get(Number(elementText(part, 'PartNumber')));
      return content && etag(content) === elementText(part, 'ETag') ? content : undefined;
    });
    const whole = parts.filter((part) => part !== undefined);
    if (whole.length < parts.length) return refusal(400, 'InvalidPart');
    if (whole.length === 0) return refusal(400, 'MalformedXML');
    if (whole.slice(0, -1).some(({ length }) => length < 5 * 1024 * 1024))
      return refusal(400, 'EntityTooSmall');
    this.#store(upload.key, Buffer.concat(whole));
    this.uploads.delete(id);
    return xml('<CompleteMultipartUploadResult/>');
  }

  #list(query: URLSearchParams): S3Reply {
    const prefix = query.get('prefix') ?? '';
    const entries = new Map<string, string>();
    for (const [key, content] of [...this.objects].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
      if (!key.startsWith(prefix)) continue;
      const slash = query.has('delimiter') ? key.indexOf('/', prefix.length) : -1;
      const name = slash < 0 ? key : key.slice(0, slash + 1);
      const modified = this.#dateOf(key, content).toISOString();
      const object = `<Contents><Key>${escapeXml(key)}</Key><LastModified>${modified}</LastModified><Size>${content.length}</Size></Contents>`;
      entries.set(
        name,
        slash < 0 ? object : `<CommonPrefixes><Prefix>${escapeXml(name)}</Prefix></CommonPrefixes>`,
      );
    }
    const after = query.get('continuation-token') ?? '';
    const rest = [...entries].filter(([name]) => name > after);
    const size = Math.min(this.pageSize, Number(query.get('max-keys') ?? Infinity));
    const page = rest.slice(0, size);
    const next =
      rest.length > size
        ? `<IsTruncated>true</IsTruncated><NextContinuationToken>${escapeXml(page.at(-1)?.[0] ?? '')}</NextContinuationToken>`
        : '<IsTruncated>false</IsTruncated>';
    return xml(`<ListBucketResult>${next}${page.map(([, text]) => text).join('')}</ListBucketResult>`);
  }

  #listUploads(query: URLSearchParams): S3Reply {
    const found = [...this.uploads].filter(([, { key }]) => key.startsWith(query.get('prefix') ?? ''));
    const after = query.get('upload-id-marker');
    const rest = after === null ? found : found.slice(found.findIndex(([id]) => id === after) + 1);
    const page = rest.slice(0, this.pageSize);
    const [id, last] = page.at(-1) ?? [];
    const texts = page.map(
      ([id, { key }]) => `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId></Upload>`,
    );
    const next =
      rest.length > page.length
        ? `<IsTruncated>true</IsTruncated><NextKeyMarker>${escapeXml(last?.key ?? '')}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>`
        : '';
    return xml(`<ListMultipartUploadsResult>${next}${texts.join('')}</ListMultipartUploadsResult>`);
  }

  #listParts(upload: Upload, after: number): S3Reply {
    const rest = [...upload.parts]
      .filter(([number]) => number > after)
      .toSorted(([one], [other]) => one - other);
    const page = rest.slice(0, this.pageSize);
    const texts = page.map(
      ([number, content]) =>
        `<Part><PartNumber>${number}</PartNumber><ETag>${etag(content)}</ETag><Size>${content.length}</Size></Part>`,
    );
    const next =
      rest.length > page.length
        ? `<IsTruncated>true</IsTruncated><NextPartNumberMarker>${page.at(-1)?.[0]}</NextPartNumberMarker>`
        : '';
    return xml(`<ListPartsResult>${next}${texts.join('')}</ListPartsResult>`);
  }
}

/** Starts it on a port of its own; it ends with the test. */
export async function startS3StandIn(t: TestContext): Promise<S3StandIn> {
  const { standIn, stop } = await start();
  t.after(stop);
  return standIn;
}

/** Starts it on a port of its own for `use`. */
export async function withS3StandIn(use: (standIn: S3StandIn) => Promise<void>): Promise<void> {
  const { standIn, stop } = await start();
  try {
    await use(standIn);
  } finally {
    stop();
  }
}

async function start(): Promise<{ readonly standIn: S3StandIn; readonly stop: () => void }> {
  const standIn = new S3StandIn();
  const server = createServer((incoming, response) => {
    void answer(standIn, incoming).then((reply) => {
      if (reply === 'cut') return incoming.socket.destroy();
      response.writeHead(reply.status, reply.headers);
      return response.end(reply.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // of a TCP listener
  standIn.url = `http://127.0.0.1:${port}`;
  const stop = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { standIn, stop };
}

async function answer(standIn: S3StandIn, incoming: IncomingMessage): Promise<S3Reply | 'cut'> {
  const { method = '', url = '', headers } = incoming;
  const { pathname, searchParams } = new URL(url, 'http://host');
  const chunks: Buffer[] = await incoming.toArray();
  const key = decodeURIComponent(pathname).replace(/^\/[^/]+\/?/, '');
  const request = { method, key, query: searchParams, headers, body: Buffer.concat(chunks) };
  standIn.requests.push(request);
  return (await standIn.intercept(request)) ?? standIn.answer(request);
}

export function refusal(
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): S3Reply {
  return { status, headers, body: `<Error><Code>${code}</Code><Message>in words</Message></Error>` };
}

function xml(body: string): S3Reply {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body };
}

function range(object: Buffer, header: string | undefined): S3Reply {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === undefined) return { status: 200, body: object };
  if (Number(first) >= object.length) return refusal(416, 'InvalidRange');
  return { status: 206, body: object.subarray(Number(first), last ? Number(last) + 1 : undefined) };
}

/** `bucket/key`, escaped. */
function keyOf(source: string): string {
  return decodeURIComponent(source).replace(/^[^/]+\//, '');
}

const etags = new WeakMap<Buffer, string>();

/** Made once for each buffer, as parts are listed often. */
function etag(content: Buffer): string {
  const tag = etags.get(content) ?? `"${hash('md5', content)}"`;
  etags.set(content, tag);
  return tag;
}
