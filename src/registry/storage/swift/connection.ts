import type { SwiftOptions } from '../../../contract/config/swift-section.ts';
import { TokenKeeper } from '../object-store/access-token.ts';
import {
  StoreClient,
  storeRefusal,
  type OpenAnswer,
  type StoreAnswer,
  type StoreClientOptions,
  type StoreRequest,
} from '../object-store/store-client.ts';
import { logIn, type Login } from './identity.ts';

export interface ConnectionOptions extends Omit<StoreClientOptions, 'authorize' | 'mayPass' | 'skipVerify'> {
  readonly swift: SwiftOptions;
}

/** A request about the account, the container, or an object in it. */
export interface SwiftRequest {
  readonly method: StoreRequest['method'];
  /** The container when undefined. */
  readonly object?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** As OpenStack Swift tells it. */
const TOO_MANY_REQUESTS = 498;

/** Requests to one container of an account. Logs in when it has to: at first, before a token ends, and after a 401. */
export class SwiftConnection {
  readonly #swift: SwiftOptions;
  readonly #http: StoreClient;
  readonly #login: TokenKeeper<Login>;

  constructor({ swift, ...client }: ConnectionOptions) {
    this.#swift = swift;
    this.#http = new StoreClient({
      ...client,
      mayPass: ({ status }) => status === TOO_MANY_REQUESTS,
      skipVerify: swift.insecureskipverify,
    });
    // Of its own, because the time of Keystone is not the store's.
    const keystone = new StoreClient({ ...client, skipVerify: swift.insecureskipverify });
    this.#login = new TokenKeeper(() => logIn(swift, keystone), client.clock);
  }

  /** About the container or an object. @throws RegistryError UNAVAILABLE for other answers than 2xx and `accepted`. */
  async fetch(request: SwiftRequest, accepted: readonly number[] = []): Promise<StoreAnswer> {
    return this.#fetch((login) => this.#containerUrl(login, request.object), request, accepted);
  }

  /** As `fetch`, about the account. */
  async fetchAccount(request: SwiftRequest, accepted: readonly number[] = []): Promise<StoreAnswer> {
    return this.#fetch((login) => new URL(login.storageUrl), request, accepted);
  }

  /** As `fetch`, but the body of a success is left to the caller; of other accepted answers it is there. */
  async open(request: SwiftRequest, accepted: readonly number[] = []): Promise<OpenAnswer | StoreAnswer> {
    const [answer, sent] = await this.#send(
      (login) => this.#containerUrl(login, request.object),
      request,
      (signed) => this.#http.open(signed),
    );
    return 'retried' in answer ? accept(sent, answer, accepted) : answer;
  }

  /** What everybody may ask, or what a signature allows; any answer. */
  async fetchWithoutToken(request: StoreRequest): Promise<StoreAnswer> {
    return this.#http.fetch(request);
  }

  /** As `fetch`, without a token and never sent twice. */
  async fetchOnce(request: StoreRequest, accepted: readonly number[]): Promise<StoreAnswer> {
    return accept(request, await this.#http.fetchOnce(request), accepted);
  }

  /** Where an object is, for a signature. */
  async objectUrl(object: string): Promise<URL> {
    return this.#containerUrl(await this.#login.get(), object);
  }

  /** Of the account, without a slash at its end. */
  async storageUrl(): Promise<string> {
    return (await this.#login.get()).storageUrl;
  }

  /** Milliseconds since the epoch by the store's clock, see StoreClient. */
  storeTime(): number {
    return this.#http.storeTime();
  }

  #containerUrl({ storageUrl }: Login, object: string | undefined): URL {
    const names = [this.#swift.container, ...(object?.split('/') ?? [])];
    return new URL(`${storageUrl}/${names.map(encodeURIComponent).join('/')}`);
  }

  async #fetch(
    place: (login: Login) => URL,
    request: SwiftRequest,
    accepted: readonly number[],
  ): Promise<StoreAnswer> {
    const [answer, sent] = await this.#send(place, request, (signed) => this.#http.fetch(signed));
    return accept(sent, answer, accepted);
  }

  /** A token that was taken back is answered with 401: one more login and attempt. */
  async #send<T extends OpenAnswer | StoreAnswer>(
    place: (login: Login) => URL,
    request: SwiftRequest,
    attempt: (request: StoreRequest) => Promise<T>,
  ): Promise<[T, StoreRequest]> {
    const login = await this.#login.get();
    const sent = withToken(login, place(login), request);
    const answer = await attempt(sent);
    if (answer.status !== 401) return [answer, sent];
    // Another request may have a new one already.
    if ((await this.#login.get()) === login) this.#login.forget();
    const renewed = await this.#login.get();
    const again = withToken(renewed, place(renewed), request);
    return [await attempt(again), again];
  }
}

function withToken({ token }: Login, url: URL, request: SwiftRequest): StoreRequest {
  const { method, query = {}, headers, body } = request;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return {
    method,
    url,
    headers: { ...headers, 'x-auth-token': token },
    ...(body !== undefined && { body }),
  };
}

function accept(request: StoreRequest, answer: StoreAnswer, accepted: readonly number[]): StoreAnswer {
  if ((answer.status >= 200 && answer.status < 300) || accepted.includes(answer.status)) return answer;
  // Ceph answers with a word or JSON, OpenStack with a page of HTML.
  const words = answer.body
    .toString()
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ');
  throw storeRefusal(request, answer.status, undefined, words.trim().slice(0, 200));
}
