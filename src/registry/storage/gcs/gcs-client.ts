import { Semaphore } from '../../../process/semaphore.ts';
import type { TokenKeeper } from '../object-store/access-token.ts';
import {
  StoreClient,
  storeRefusal,
  type OpenAnswer,
  type StoreAnswer,
  type StoreClientOptions,
  type StoreRequest,
} from '../object-store/store-client.ts';
import { signUrl, type SignedUrlOptions, type Signer } from './signed-url.ts';

export interface GcsClientOptions extends Omit<StoreClientOptions, 'authorize' | 'skipVerify'> {
  readonly bucket: string;
  /** `https://storage.googleapis.com`, or where an emulator is. */
  readonly endpoint: URL;
  /** Undefined with an emulator. */
  readonly token: TokenKeeper | undefined;
  readonly signer: Signer | undefined;
  /** Most requests at once. */
  readonly concurrency: number;
  readonly userAgent: string | undefined;
}

export interface GcsRequest {
  readonly method: StoreRequest['method'];
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** Requests to one bucket of Google Cloud Storage, by its JSON API. */
export class GcsClient {
  readonly canSign: boolean;
  readonly #options: GcsClientOptions;
  readonly #http: StoreClient;
  readonly #limit: Semaphore;

  constructor(options: GcsClientOptions) {
    this.#options = options;
    this.canSign = options.signer !== undefined;
    this.#limit = new Semaphore(options.concurrency);
    this.#http = new StoreClient({ ...options, authorize: (request) => this.#authorize(request) });
  }

  /** @returns undefined when there is no such object. @throws RegistryError UNAVAILABLE for other refusals. */
  async fetch(path: string, request: GcsRequest): Promise<StoreAnswer | undefined> {
    const sent = this.#request(path, request);
    return accept(sent, await this.#limit.run(() => this.#http.fetch(sent)));
  }

  /** As `fetch`, with the body of a success still to be read. A range behind the end is an answer with status 416. */
  async open(path: string, request: GcsRequest): Promise<OpenAnswer | StoreAnswer | undefined> {
    const sent = this.#request(path, request);
    const answer = await this.#limit.run(() => this.#http.open(sent));
    return 'retried' in answer && answer.status !== 416 ? accept(sent, answer) : answer;
  }

  /**
   * Sends to the address of an upload session, which needs no token: whoever has it may write.
   * @returns undefined when the session is gone. @throws RegistryError UNAVAILABLE for other refusals.
   */
  async fetchSession(address: string, request: GcsRequest): Promise<StoreAnswer | undefined> {
    const url = this.#sessionUrl(address);
    const sent: StoreRequest = {
      ...request,
      url,
      headers: this.#headers(request.headers),
      isAuthorized: true,
    };
    const answer = await this.#limit.run(() => this.#http.fetch(sent));
    if (answer.status === 308) return answer;
    return answer.status === 410 ? undefined : accept(sent, answer);
  }

  /**
   * Deletes an object by a URL that Google refuses after `milliseconds` by its own clock.
   * @returns false when there was none. @throws Error when the time is over.
   */
  async deleteWithin(key: string, milliseconds: number): Promise<boolean> {
    const now = this.#http.storeTime();
    // The date of a signature is cut to whole seconds.
    const seconds = Math.floor((milliseconds + (now % 1000)) / 1000);
    if (seconds < 1) throw new Error('there is no time left to delete an object');
    const url = new URL(await this.#signedUrl(key, { method: 'DELETE', date: now, seconds }));
    const sent: StoreRequest = { method: 'DELETE', url, headers: this.#headers(), isAuthorized: true };
    return accept(sent, await this.#limit.run(() => this.#http.fetchOnce(sent))) !== undefined;
  }

  /** A URL by which anybody can read an object for so many seconds. */
  readableUrl(key: string, method: 'GET' | 'HEAD', seconds: number): Promise<string> {
    return this.#signedUrl(key, { method, date: this.#http.storeTime(), seconds });
  }

  /** Of an object in the JSON API. */
  objectPath(key: string): string {
    return `/storage/v1/b/${this.#options.bucket}/o/${encodeURIComponent(key)}`;
  }

  /** Of all objects: where they are listed, and with `/upload` in front where they are made. */
  get objectsPath(): string {
    return `/storage/v1/b/${this.#options.bucket}/o`;
  }

  url(path: string): URL {
    return new URL(path, this.#options.endpoint);
  }

  #signedUrl(key: string, options: Omit<SignedUrlOptions, 'url'>): Promise<string> {
    const { bucket, signer } = this.#options;
    if (signer === undefined) throw new Error('there is nothing to sign URLs with');
    const path = key.split('/').map(encodeURIComponent).join('/');
    return signUrl({ ...options, url: this.url(`/${bucket}/${path}`) }, signer);
  }

  #request(path: string, { method, query = {}, headers, body }: GcsRequest): StoreRequest {
    const url = this.url(path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return { method, url, headers: this.#headers(headers), ...(body !== undefined && { body }) };
  }

  /** What an object of the bucket says; nothing but Google's own hosts may be sent content. */
  #sessionUrl(address: string): URL {
    const url = URL.canParse(address) ? new URL(address) : undefined;
    const isGoogle = url?.protocol === 'https:' && url.hostname.endsWith('.googleapis.com');
    if (url && (isGoogle || url.origin === this.#options.endpoint.origin)) return url;
    throw new Error('the address of an upload session does not lead to Google Cloud Storage');
  }

  /** With the headers that every request has. */
  #headers(headers: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    const { userAgent } = this.#options;
    return userAgent === undefined ? headers : { ...headers, 'user-agent': userAgent };
  }

  async #authorize(request: StoreRequest): Promise<StoreRequest> {
    const { token } = this.#options;
    if (token === undefined) return request;
    return { ...request, headers: { ...request.headers, authorization: `Bearer ${await token.get()}` } };
  }
}

/** A bucket that does not exist is a refusal: none of its objects may be taken for missing. */
function accept(request: StoreRequest, answer: StoreAnswer): StoreAnswer | undefined {
  if (answer.status < 300) return answer;
  const text = answer.body.toString();
  const { reason, message } = errorOf(text);
  if (answer.status === 404 && !/bucket does not exist/i.test(text)) return undefined;
  throw storeRefusal(request, answer.status, reason, message ?? text.slice(0, 500));
}

/** `{error: {message, errors: [{reason}]}}`, or `{error, error_description}` of a token that is not good. */
function errorOf(text: string): { readonly reason?: string; readonly message?: string } {
  try {
    // Google's documented shape; whatever else it is has none of these.
    const { error } = JSON.parse(text) as { error?: { message?: string; errors?: { reason?: string }[] } };
    const reason = error?.errors?.[0]?.reason;
    return { ...(reason && { reason }), ...(error?.message && { message: error.message }) };
  } catch {
    return {};
  }
}
