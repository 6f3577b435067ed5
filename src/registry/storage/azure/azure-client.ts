import { TokenKeeper, type AccessToken } from '../object-store/access-token.ts';
import {
  StoreClient,
  storeRefusal,
  type OpenAnswer,
  type StoreAnswer,
  type StoreClientOptions,
  type StoreRequest,
} from '../object-store/store-client.ts';
import {
  delegatedSignature,
  isoSeconds,
  serviceSignature,
  type Grant,
  type UserDelegationKey,
} from './shared-access-signature.ts';
import { API_VERSION, signWithSharedKey, type SharedKey } from './shared-key.ts';
import { elementText } from '../object-store/xml.ts';

export type AzureCredentials = { readonly key: SharedKey } | { readonly token: TokenKeeper };

export interface AzureClientOptions extends Omit<StoreClientOptions, 'authorize'> {
  readonly account: string;
  readonly container: string;
  /** Of the account, as in `https://name.blob.core.windows.net`; an emulator has the account's name in the path. */
  readonly serviceUrl: URL;
  readonly credentials: AzureCredentials;
}

/** What a request about a blob says beside its name. */
export interface BlobRequest {
  readonly method: StoreRequest['method'];
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** A key that Azure lends to an identity is asked for this long, in milliseconds, and used until half of it is left. */
const DELEGATION = 24 * 3600_000;

/** Requests to one container of Azure Blob Storage, authorized by the account's key or by an identity. */
export class AzureClient {
  readonly #options: AzureClientOptions;
  readonly #http: StoreClient;
  readonly #delegation: TokenKeeper<UserDelegationKey>;

  constructor(options: AzureClientOptions) {
    this.#options = options;
    this.#http = new StoreClient({ ...options, authorize: (request) => this.#authorize(request) });
    this.#delegation = new TokenKeeper(() => this.#borrowKey(), options.clock);
  }

  /**
   * @param accepted Azure's words for refusals that the caller deals with.
   * @returns undefined when the blob does not exist. @throws RegistryError UNAVAILABLE for other refusals.
   */
  async fetch(
    blob: string,
    request: BlobRequest,
    accepted: readonly string[] = [],
  ): Promise<StoreAnswer | undefined> {
    const sent = this.#request(blob, request);
    return accept(sent, await this.#http.fetch(sent), accepted);
  }

  /** As `fetch`, with the body of a success still to be read. */
  async open(
    blob: string,
    request: BlobRequest,
    accepted: readonly string[] = [],
  ): Promise<OpenAnswer | StoreAnswer | undefined> {
    const sent = this.#request(blob, request);
    const answer = await this.#http.open(sent);
    return 'retried' in answer ? accept(sent, answer, accepted) : answer;
  }

  /** @throws RegistryError UNAVAILABLE */
  async fetchContainer(query: Readonly<Record<string, string>>): Promise<StoreAnswer> {
    const sent = this.#request('', { method: 'GET', query: { restype: 'container', ...query } });
    const answer = accept(sent, await this.#http.fetch(sent));
    if (answer === undefined) throw storeRefusal(sent, 404, undefined);
    return answer;
  }

  /** Deletes a blob by a URL that Azure refuses after `endsAt` on its own clock. @returns false when there was none. */
  async deleteUntil(blob: string, endsAt: number): Promise<boolean> {
    const url = await this.signedUrl(blob, { permission: 'd', endsAt, httpsOnly: this.#isHttps });
    const headers = { 'x-ms-version': API_VERSION };
    const sent: StoreRequest = { method: 'DELETE', url, headers, isAuthorized: true };
    return accept(sent, await this.#http.fetchOnce(sent)) !== undefined;
  }

  /** A URL by which anybody can read a blob for so many milliseconds. */
  async readableUrl(blob: string, milliseconds: number): Promise<string> {
    const now = this.#http.storeTime();
    // Azure's servers do not agree on the second.
    const grant = { permission: 'r', startsAt: now - 10_000, endsAt: now + milliseconds } as const;
    return (await this.signedUrl(blob, { ...grant, httpsOnly: this.#isHttps })).href;
  }

  async signedUrl(blob: string, grant: Grant): Promise<URL> {
    const { account, container, credentials } = this.#options;
    const name = { account, container, blob };
    const query =
      'key' in credentials
        ? serviceSignature(name, grant, credentials.key)
        : delegatedSignature(name, grant, await this.#delegation.get());
    const url = this.url(blob);
    url.search = query.toString();
    return url;
  }

  /** Milliseconds by Azure's clock, see StoreClient. */
  time(): number {
    return this.#http.storeTime();
  }

  url(blob: string): URL {
    const { serviceUrl, container } = this.#options;
    const path = blob.split('/').map(encodeURIComponent).join('/');
    return new URL(`${serviceUrl.href.replace(/\/$/, '')}/${container}${blob === '' ? '' : `/${path}`}`);
  }

  get #isHttps(): boolean {
    return this.#options.serviceUrl.protocol === 'https:';
  }

  #request(blob: string, { method, query = {}, headers = {}, body }: BlobRequest): StoreRequest {
    const url = this.url(blob);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return { method, url, headers, ...(body !== undefined && { body }) };
  }

  async #authorize(request: StoreRequest): Promise<StoreRequest> {
    const { credentials, clock } = this.#options;
    const dated = {
      ...request,
      headers: {
        ...request.headers,
        'x-ms-date': new Date(clock.now()).toUTCString(),
        'x-ms-version': API_VERSION,
      },
    };
    if ('key' in credentials) return signWithSharedKey(dated, credentials.key);
    const authorization = `Bearer ${await credentials.token.get()}`;
    return { ...dated, headers: { ...dated.headers, authorization } };
  }

  async #borrowKey(): Promise<AccessToken<UserDelegationKey>> {
    const now = this.time();
    const [start, expiry] = [isoSeconds(now - 10_000), isoSeconds(now + DELEGATION)];
    const url = new URL(this.#options.serviceUrl);
    url.search = 'restype=service&comp=userdelegationkey';
    const body = `<?xml version="1.0" encoding="utf-8"?><KeyInfo><Start>${start}</Start><Expiry>${expiry}</Expiry></KeyInfo>`;
    const sent: StoreRequest = { method: 'POST', url, headers: { 'content-type': 'application/xml' }, body };
    const answer = accept(sent, await this.#http.fetch(sent))?.body.toString() ?? '';
    const text = (name: string): string => elementText(answer, name) ?? '';
    const value = {
      signedObjectId: text('SignedOid'),
      signedTenantId: text('SignedTid'),
      signedStart: text('SignedStart'),
      signedExpiry: text('SignedExpiry'),
      signedService: text('SignedService'),
      signedVersion: text('SignedVersion'),
      value: text('Value'),
    };
    return { value, lifetime: DELEGATION / 2 / 1000 };
  }
}

/** Azure's word for a refusal; a HEAD has it in a header alone. */
export function errorCode({ status, headers, body }: StoreAnswer): string | undefined {
  if (status < 300) return undefined;
  return String(headers['x-ms-error-code'] ?? '') || elementText(body.toString(), 'Code');
}

/** Codes that say: the blob is not there. A container that is not there is a refusal: none of its blobs may be taken for missing. */
const MISSING = ['BlobNotFound', 'CannotVerifyCopySource'];

function accept(
  request: StoreRequest,
  answer: StoreAnswer,
  accepted: readonly string[] = [],
): StoreAnswer | undefined {
  if (answer.status < 300) return answer;
  const code = errorCode(answer);
  if (code !== undefined && accepted.includes(code)) return answer;
  if (answer.status === 404 && code !== undefined && MISSING.includes(code)) return undefined;
  throw storeRefusal(request, answer.status, code, elementText(answer.body.toString(), 'Message'));
}
