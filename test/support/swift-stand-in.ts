import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { CertificatePair } from '../../src/pki/key-pair.ts';

interface StoredObject {
  readonly content: Buffer;
  /** `container/prefix` of a large object. */
  readonly manifest?: string;
  readonly modifiedAt: Date;
}

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Buffer | string;
}

/** What a stand-in was asked. `path` is without the query. */
export interface SwiftCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface SwiftStandInOptions {
  /** What `/info` answers; nothing when undefined, as a Ceph gateway does. */
  readonly info?: object;
  /** Milliseconds since the epoch, for its dates and for the end of temporary URLs. */
  readonly now?: () => number;
  /** Serves HTTPS. */
  readonly tls?: CertificatePair;
}

const ACCOUNT = '/v1/AUTH_test';

/**
 * The part of OpenStack Swift that the driver uses, in memory, with the login of version 1 (`tester`, `secret`). Unlike
 * Ceph it can be told to leave names out of its lists for a while. The e2e tests run on a Ceph gateway.
 */
export class SwiftStandIn {
  readonly url: string;
  /** By `container/object`. */
  readonly objects = new Map<string, StoredObject>();
  readonly containers = new Set<string>();
  readonly calls: SwiftCall[] = [];
  /** Meta data by the path of an account or container. */
  readonly keys = new Map<string, string>();
  readonly tokens = new Set<string>();
  /** Names that are not in lists yet. */
  hidden: (name: string) => boolean = () => false;
  /** Answers in the place of the stand-in. */
  answer: (call: SwiftCall) => Reply | undefined = () => undefined;
  readonly #options: SwiftStandInOptions;
  #issued = 0;

  constructor(url: string, options: SwiftStandInOptions) {
    this.url = url;
    this.#options = options;
  }

  get storageUrl(): string {
    return this.url + ACCOUNT;
  }

  /** Names of the objects of a container. */
  names(container: string): string[] {
    const inside = [...this.objects.keys()].filter((name) => name.startsWith(`${container}/`));
    return inside.map((name) => name.slice(container.length + 1)).toSorted();
  }

  issueToken(): string {
    const token = `AUTH_tk${++this.#issued}`;
    this.tokens.add(token);
    return token;
  }

  handle(call: SwiftCall): Reply {
    this.calls.push(call);
    return this.answer(call) ?? this.#route(call);
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  #route(call: SwiftCall): Reply {
    if (call.path === '/auth/v1.0') return this.#logIn(call);
    if (call.path === '/info') {
      return this.#options.info ? { status: 200, body: JSON.stringify(this.#options.info) } : { status: 404 };
    }
    if (!call.path.startsWith(ACCOUNT)) return { status: 404 };
    if (!this.tokens.has(String(call.headers['x-auth-token'])) && !this.#isSigned(call))
      return { status: 401 };
    const [container, ...rest] = call.path
      .slice(ACCOUNT.length + 1)
      .split('/')
      .map(decodeURIComponent);
    if (container === undefined || container === '') return this.#account(call);
    if (rest.length === 0) return this.#container(call, container);
    if (!this.containers.has(container)) return { status: 404 };
    return this.#object(call, container, rest.join('/'));
  }

  #logIn({ headers }: SwiftCall): Reply {
    if (headers['x-auth-user'] !== 'tester' || headers['x-auth-key'] !== 'secret') return { status: 401 };
    return { status: 200, headers: { 'X-Auth-Token': this.issueToken(), 'X-Storage-Url': this.storageUrl } };
  }

  #isSigned({ method, path, query }: SwiftCall): boolean {
    const expires = Number(query.get('temp_url_expires') ?? 0);
    if (expires * 1000 <= this.#now()) return false;
    const signature = query.get('temp_url_sig') ?? '';
    const digest = signature.length === 40 ? 'sha1' : 'sha256';
    const container = path.split('/').slice(0, 4).join('/');
    const methods = method === 'HEAD' ? ['HEAD', 'GET'] : [method];
    return [ACCOUNT, container].some((holder) => {
      const key = this.keys.get(holder);
      const text = (signed: string): string => `${signed}\n${expires}\n${decodeURIComponent(path)}`;
      return (
        key !== undefined &&
        methods.some((signed) => createHmac(digest, key).update(text(signed)).digest('hex') === signature)
      );
    });
  }

  #account(call: SwiftCall): Reply {
    if (!call.query.has('bulk-delete')) return this.#meta(call, 'account');
    const names = call.body.toString().trim().split('\n').map(decodeURIComponent);
    const deleted = names.filter((name) => this.objects.delete(name)).length;
    return {
      status: 200,
      body: JSON.stringify({ 'Number Deleted': deleted, 'Response Status': '200 OK', Errors: [] }),
    };
  }

  #container(call: SwiftCall, container: string): Reply {
    if (call.method === 'PUT') this.containers.add(container);
    if (!this.containers.has(container)) return { status: 404 };
    if (call.method === 'GET')
      return { status: 200, body: JSON.stringify(this.#list(container, call.query)) };
    return this.#meta(call, 'container');
  }

  #meta({ method, path, headers }: SwiftCall, holder: string): Reply {
    const header = `x-${holder}-meta-temp-url-key`;
    const given = headers[header];
    if (method === 'POST' && given !== undefined) this.keys.set(path, String(given));
    const key = this.keys.get(path);
    return { status: 204, headers: key === undefined ? {} : { [header]: key } };
  }

  #list(container: string, query: URLSearchParams): object[] {
    const [prefix, marker] = [query.get('prefix') ?? '', query.get('marker') ?? ''];
    const limit = Number(query.get('limit') ?? 10_000);
    const entries = new Map<string, object>();
    for (const name of this.names(container)) {
      if (!name.startsWith(prefix) || this.hidden(name)) continue;
      const slash = query.get('delimiter') === '/' ? name.indexOf('/', prefix.length) : -1;
      const shown = slash < 0 ? name : name.slice(0, slash + 1);
      if (shown <= marker) continue;
      const object = this.objects.get(`${container}/${name}`);
      const modified = object?.modifiedAt.toISOString().replace('Z', '000');
      const bytes = object?.content.length;
      entries.set(shown, slash < 0 ? { name, bytes, last_modified: modified } : { subdir: shown });
    }
    return [...entries.values()].slice(0, limit);
  }

  #object(call: SwiftCall, container: string, name: string): Reply {
    const id = `${container}/${name}`;
    if (call.method === 'PUT') return this.#put(call, id);
    const object = this.objects.get(id);
    if (object === undefined) return { status: 404 };
    if (call.method === 'DELETE') {
      this.objects.delete(id);
      return { status: 204 };
    }
    return this.#read(call, object);
  }

  #put({ headers, body }: SwiftCall, id: string): Reply {
    const from = headers['x-copy-from'];
    const source = from === undefined ? undefined : this.objects.get(decodeURIComponent(String(from)));
    if (from !== undefined && source === undefined) return { status: 404 };
    const manifest = headers['x-object-manifest'];
    this.objects.set(id, {
      content: source ? this.#content(source) : body,
      ...(manifest !== undefined && { manifest: String(manifest) }),
      modifiedAt: new Date(this.#now()),
    });
    return { status: 201 };
  }

  #read({ headers }: SwiftCall, object: StoredObject): Reply {
    const content = this.#content(object);
    const about = {
      'Last-Modified': object.modifiedAt.toUTCString(),
      'X-Timestamp': object.modifiedAt.getTime() / 1000,
      ...(object.manifest !== undefined && { 'X-Object-Manifest': object.manifest }),
    };
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
    if (range === null) return { status: 200, headers: about, body: content };
    const [start, end] = [Number(range[1]), range[2] === '' ? content.length : Number(range[2]) + 1];
    if (start >= content.length) return { status: 416 };
    return { status: 206, headers: about, body: content.subarray(start, end) };
  }

  /** A large object is what the lists show of its segments. */
  #content({ content, manifest }: StoredObject): Buffer {
    if (manifest === undefined) return content;
    const [container = ''] = manifest.split('/');
    const segments = this.names(container).filter(
      (name) => `${container}/${name}`.startsWith(manifest) && !this.hidden(name),
    );
    return Buffer.concat(
      segments.map((name) => this.objects.get(`${container}/${name}`)?.content ?? Buffer.alloc(0)),
    );
  }
}

/** Starts a stand-in on a port of its own; it ends with the test. */
export async function startSwiftStandIn(
  t: TestContext | { after(work: () => void): void },
  options: SwiftStandInOptions = {},
): Promise<SwiftStandIn> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '', 'http://stand-in');
    const body = Buffer.concat((await request.toArray()) as Buffer[]); // of a stream of bytes
    const call = { method, path: url.pathname, query: url.searchParams, headers, body };
    const { status, headers: more = {}, body: content = '' } = standIn.handle(call);
    const date = new Date(options.now?.() ?? Date.now()).toUTCString();
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(content), Date: date, ...more });
    response.end(method === 'HEAD' ? undefined : content);
  };
  const { tls } = options;
  const serve = (request: IncomingMessage, response: ServerResponse): void => void answer(request, response);
  const server = tls ? createTlsServer({ cert: tls.certificate, key: tls.key }, serve) : createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // of a TCP listener
  const standIn = new SwiftStandIn(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, options);
  return standIn;
}
