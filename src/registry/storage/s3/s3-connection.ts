import { hash } from 'node:crypto';
import type { RegistryError } from '../../errors.ts';
import type { TokenKeeper } from '../object-store/access-token.ts';
import {
  StoreClient,
  storeRefusal,
  type OpenAnswer,
  type StoreAnswer,
  type StoreClientOptions,
  type StoreRequest,
} from '../object-store/store-client.ts';
import { elementText } from '../object-store/xml.ts';
import type { Credentials } from './credentials.ts';
import type { BucketAddress } from './s3-address.ts';
import { EMPTY_HASH, encodeQuery, UNSIGNED_PAYLOAD } from './signature-v4.ts';

/** One of the ways to sign requests, see SignatureV4. */
export interface RequestSignature {
  sign(request: StoreRequest, credentials: Credentials, date: number): StoreRequest;
  presign(
    request: StoreRequest,
    credentials: Credentials,
    validity: { readonly date: number; readonly seconds: number },
  ): URL;
}

export interface S3ConnectionOptions extends Omit<StoreClientOptions, 'authorize' | 'mayPass'> {
  readonly address: BucketAddress;
  /** Go with each object that is made: its storage class, encryption and the like. */
  readonly objectHeaders: Readonly<Record<string, string>>;
  readonly signature: RequestSignature;
  readonly credentials: TokenKeeper<Credentials>;
  readonly userAgent: string;
  /** Told of each request that was answered. */
  readonly onAnswer: (request: StoreRequest, answer: Pick<StoreAnswer, 'status' | 'retried'>) => void;
}

/** A request of the S3 API. */
export interface S3Call {
  readonly method: StoreRequest['method'];
  /** Empty for the bucket. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Codes of refusals that are an answer to what is asked. */
  readonly expect?: readonly string[];
}

export interface S3Answer extends StoreAnswer {
  readonly request: StoreRequest;
  /** The body as text. */
  readonly text: () => string;
  /** One of those that were expected. */
  readonly refusal?: S3Refusal;
}

export interface S3Refusal {
  readonly code: string;
  readonly message: string | undefined;
}

/** What S3 says when the same may go well a moment later, whatever the status. */
const PASSING = new Set([
  'ConcurrentModification',
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
]);

/** What S3 says of credentials that were good once. */
const EXPIRED = new Set(['ExpiredToken', 'TokenRefreshRequired']);

/** Signs requests to one bucket and tells answers from refusals. */
export class S3Connection {
  readonly address: BucketAddress;
  readonly objectHeaders: Readonly<Record<string, string>>;
  readonly #options: S3ConnectionOptions;
  readonly #http: StoreClient;

  constructor(options: S3ConnectionOptions) {
    this.address = options.address;
    this.objectHeaders = options.objectHeaders;
    this.#options = options;
    this.#http = new StoreClient({
      ...options,
      authorize: async (request) =>
        options.signature.sign(request, await options.credentials.get(), options.clock.now()),
      mayPass: (answer, request) => this.#mayPass(answer, request),
    });
  }

  /** @throws RegistryError UNAVAILABLE for a refusal that is not expected. */
  async call(call: S3Call): Promise<S3Answer> {
    const request = this.#request(call);
    const answer = await this.#http.fetch(request);
    this.#options.onAnswer(request, answer);
    const { status, body } = answer;
    const text = (): string => body.toString();
    if (!isRefusal(answer, request)) return { ...answer, request, text };
    const refusal = refusalOf(status, text());
    if (!call.expect?.includes(refusal.code)) throw refused(request, status, refusal);
    return { ...answer, request, text, refusal };
  }

  /** As `call`, but the body of a success is left to the caller. */
  async open(call: S3Call): Promise<OpenAnswer | S3Refusal> {
    const request = this.#request(call);
    const answer = await this.#http.open(request);
    const { status } = answer;
    this.#options.onAnswer(request, { retried: false, ...answer });
    if (!('retried' in answer)) return answer;
    const refusal = refusalOf(status, answer.body.toString());
    if (!call.expect?.includes(refusal.code)) throw refused(request, status, refusal);
    return refusal;
  }

  /**
   * Lets anybody do this to a URL.
   * @param validity for so many seconds from `date`, milliseconds since the epoch; by the store's clock, unless it is
   * given.
   */
  async presign(
    method: StoreRequest['method'],
    url: URL,
    validity: { readonly date?: number; readonly seconds: number },
  ): Promise<URL> {
    const { signature, credentials } = this.#options;
    const date = validity.date ?? this.#http.storeTime();
    return signature.presign({ method, url }, await credentials.get(), { date, seconds: validity.seconds });
  }

  /**
   * Sends what a URL of `presign` allows, once.
   * @returns the answer, a refusal too. @throws RegistryError UNAVAILABLE when there is none.
   */
  async callPresigned(
    method: StoreRequest['method'],
    url: URL,
    content?: Pick<StoreRequest, 'headers' | 'body'>,
  ): Promise<S3Answer> {
    const request: StoreRequest = { method, url, isAuthorized: true, ...content };
    const answer = await this.#http.fetchOnce(request);
    const text = (): string => answer.body.toString();
    if (answer.status < 300) return { ...answer, request, text };
    return { ...answer, request, text, refusal: refusalOf(answer.status, text()) };
  }

  #request({ method, key, query, headers, body }: S3Call): StoreRequest {
    const { address } = this;
    const { userAgent } = this.#options;
    return {
      method,
      url: address.url(key, query && encodeQuery(Object.entries(query))),
      headers: {
        ...headers,
        'user-agent': userAgent,
        'x-amz-content-sha256': hashOf(body, address.isSecure),
      },
      ...(body && { body }),
    };
  }

  #mayPass(answer: StoreAnswer, request: StoreRequest): boolean {
    if (!isRefusal(answer, request)) return false;
    const { code } = refusalOf(answer.status, answer.body.toString());
    if (!EXPIRED.has(code)) return PASSING.has(code);
    this.#options.credentials.forget();
    return true;
  }
}

export function refused(request: StoreRequest, status: number, { code, message }: S3Refusal): RegistryError {
  return storeRefusal(request, status, code, message);
}

/** Copies and the ends of uploads may fail after their status was sent: then the answer is an error all the same. */
function isRefusal({ status, body }: StoreAnswer, { method }: StoreRequest): boolean {
  return (
    status >= 300 ||
    ((method === 'PUT' || method === 'POST') && /<Error>/.test(body.toString().slice(0, 200)))
  );
}

/** An answer to HEAD has no body that would say more. */
const CODES: Readonly<Record<number, string>> = { 403: 'AccessDenied', 404: 'NotFound' };

export function refusalOf(status: number, body: string): S3Refusal {
  return {
    code: elementText(body, 'Code') ?? CODES[status] ?? 'no reason',
    message: elementText(body, 'Message'),
  };
}

function hashOf(body: Uint8Array | undefined, isSecure: boolean): string {
  if (body === undefined) return EMPTY_HASH;
  return isSecure ? UNSIGNED_PAYLOAD : hash('sha256', body);
}
