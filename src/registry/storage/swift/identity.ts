import { detectAuthVersion, type SwiftOptions } from '../../../contract/config/swift-section.ts';
import { RegistryError } from '../../errors.ts';
import type { StoreAnswer, StoreClient, StoreRequest } from '../object-store/store-client.ts';
import type { AccessToken } from '../object-store/access-token.ts';
import { child, items, parseJson, text } from './json.ts';

/** What a login gives. */
export interface Login {
  readonly token: string;
  /** Of the account, without a slash at its end. */
  readonly storageUrl: string;
}

/** The lifetime of a token that nobody told: a 401 ends it. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/** An address of a service in Keystone's catalog. */
interface Endpoint {
  readonly region: string | undefined;
  readonly type: string;
  readonly url: string;
}

/** @throws RegistryError UNAVAILABLE that says what was refused, or what the catalog lacks. */
export async function logIn(options: SwiftOptions, client: StoreClient): Promise<AccessToken<Login>> {
  const version = detectAuthVersion(options);
  if (version === undefined)
    throw refusedLogin(options, 'its version is not known, so authversion is needed');
  return logins[version](options, client);
}

const logins = { 1: logInToVersion1, 2: logInToVersion2, 3: logInToVersion3 } as const;

/** TempAuth, and Ceph's gateway. */
async function logInToVersion1(options: SwiftOptions, client: StoreClient): Promise<AccessToken<Login>> {
  const headers = { 'x-auth-user': options.username, 'x-auth-key': options.password };
  const answer = await ask(options, client, { method: 'GET', url: new URL(options.authurl), headers });
  const token = text(answer.headers['x-auth-token']);
  const storageUrl = text(answer.headers['x-storage-url']);
  if (token === undefined || storageUrl === undefined) {
    throw refusedLogin(options, 'the answer has no X-Auth-Token and X-Storage-Url');
  }
  return {
    value: { token, storageUrl: checkedUrl(options, storageUrl) },
    lifetime: Number(answer.headers['x-auth-token-expires'] ?? UNKNOWN),
  };
}

/** Keystone's old API. Rackspace takes an API key in another field; a long secret is most likely one. */
async function logInToVersion2(options: SwiftOptions, client: StoreClient): Promise<AccessToken<Login>> {
  const { username, password, tenant, tenantid } = options;
  const scope = {
    ...(tenant !== undefined && { tenantName: tenant }),
    ...(tenantid !== undefined && { tenantId: tenantid }),
  };
  const forms = [
    { passwordCredentials: { username, password }, ...scope },
    { 'RAX-KSKEY:apiKeyCredentials': { username, apiKey: password }, ...scope },
  ];
  if (password.length >= 32) forms.reverse();
  const [first, second] = forms.map((auth) => jsonRequest(options, 'tokens', { auth }));
  const answer = await ask(options, client, first, second);
  const access = child(parseJson(answer.body), 'access');
  const token = text(child(access, 'token', 'id'));
  if (token === undefined) throw refusedLogin(options, 'the answer has no token');
  const endpoints = items(child(access, 'serviceCatalog'))
    .filter((service) => child(service, 'type') === 'object-store')
    .flatMap((service) => items(child(service, 'endpoints')))
    .flatMap((endpoint) =>
      (['public', 'internal', 'admin'] as const).flatMap((type) =>
        endpointOf(child(endpoint, 'region'), type, child(endpoint, `${type}URL`)),
      ),
    );
  return {
    value: { token, storageUrl: chooseEndpoint(options, endpoints) },
    lifetime: lifetime(child(access, 'token', 'issued_at'), child(access, 'token', 'expires'), answer),
  };
}

/** Keystone. */
async function logInToVersion3(options: SwiftOptions, client: StoreClient): Promise<AccessToken<Login>> {
  const { username, password } = options;
  const user = { name: username, password, ...inDomain([options.domain, options.domainid]) };
  const auth = { identity: { methods: ['password'], password: { user } }, ...scopeOf(options) };
  const answer = await ask(options, client, jsonRequest(options, 'auth/tokens', { auth }));
  const token = text(answer.headers['x-subject-token']);
  if (token === undefined) throw refusedLogin(options, 'the answer has no X-Subject-Token');
  const granted = child(parseJson(answer.body), 'token');
  const endpoints = items(child(granted, 'catalog'))
    .filter((service) => child(service, 'type') === 'object-store')
    .flatMap((service) => items(child(service, 'endpoints')))
    .flatMap((endpoint) =>
      endpointOf(child(endpoint, 'region'), child(endpoint, 'interface'), child(endpoint, 'url')),
    );
  return {
    value: { token, storageUrl: chooseEndpoint(options, endpoints) },
    lifetime: lifetime(child(granted, 'issued_at'), child(granted, 'expires_at'), answer),
  };
}

/** What the token is for: a trust, or a project. A project's name means something within a domain only. */
function scopeOf(options: SwiftOptions): object {
  const { tenant, tenantid, trustid } = options;
  if (trustid !== undefined) return { scope: { 'OS-TRUST:trust': { id: trustid } } };
  if (tenantid !== undefined) return { scope: { project: { id: tenantid } } };
  if (tenant === undefined) return {};
  const domain = inDomain([options.tenantdomain, options.tenantdomainid], [options.domain, options.domainid]);
  return { scope: { project: { name: tenant, ...domain } } };
}

/** The first domain that is named, by its name or else its identifier. Every Keystone has one that is called so. */
function inDomain(...domains: readonly (readonly [string | undefined, string | undefined])[]): object {
  const [name, id] = domains.find((domain) => domain.some((part) => part !== undefined)) ?? ['Default'];
  return { domain: name === undefined ? { id } : { name } };
}

function jsonRequest({ authurl }: SwiftOptions, path: string, content: object): StoreRequest {
  return {
    method: 'POST',
    url: new URL(`${withoutSlash(authurl)}/${path}`),
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(content),
  };
}

/** Sends a login, and another form of it when that is refused. */
async function ask(
  options: SwiftOptions,
  client: StoreClient,
  ...requests: readonly (StoreRequest | undefined)[]
): Promise<StoreAnswer> {
  let refusal = 'no request';
  for (const request of requests) {
    if (request === undefined) continue;
    const answer = await client.fetch(request);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const reason = text(child(parseJson(answer.body), 'error', 'message'));
    refusal = [`the answer is ${answer.status}`, reason].filter(Boolean).join(': ');
    if (answer.status !== 400 && answer.status !== 401 && answer.status !== 403) break;
  }
  throw refusedLogin(options, refusal);
}

function endpointOf(region: unknown, type: unknown, url: unknown): Endpoint[] {
  if (typeof type !== 'string' || typeof url !== 'string') return [];
  return [{ region: text(region), type, url }];
}

function chooseEndpoint(options: SwiftOptions, endpoints: readonly Endpoint[]): string {
  const { region, endpointtype } = options;
  const chosen = endpoints.find(
    (endpoint) => endpoint.type === endpointtype && (region === undefined || endpoint.region === region),
  );
  if (chosen !== undefined) return checkedUrl(options, chosen.url);
  if (endpoints.length === 0) {
    throw refusedLogin(options, 'the catalog has no object storage; is tenant or tenantid missing?');
  }
  const wanted = `${endpointtype} address of object storage${region === undefined ? '' : ` in region ${region}`}`;
  const offered = endpoints.map(({ region: place, type }) => `${type} in ${place ?? 'no region'}`).join(', ');
  throw refusedLogin(options, `the catalog has no ${wanted}, but ${offered}`);
}

/** Seconds. Both times are Keystone's; the `Date` of the answer stands in for one that is missing. */
function lifetime(issuedAt: unknown, expiresAt: unknown, { headers }: StoreAnswer): number {
  const issued = Date.parse(text(issuedAt) ?? text(headers['date']) ?? '');
  const left = Date.parse(text(expiresAt) ?? '') - issued;
  return Number.isNaN(left) ? UNKNOWN : left / 1000;
}

function checkedUrl(options: SwiftOptions, url: string): string {
  if (!URL.canParse(url)) throw refusedLogin(options, `the address of the storage is no URL: ${url}`);
  return withoutSlash(url);
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

function refusedLogin({ authurl }: SwiftOptions, reason: string): RegistryError {
  return new RegistryError(
    { code: 'UNAVAILABLE', message: 'the registry cannot log in to its storage' },
    { cause: new Error(`${new URL(authurl).origin}: ${reason}`) },
  );
}
