import { createPrivateKey, createSign, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../../process/clock.ts';
import { TokenKeeper, type AccessToken } from '../object-store/access-token.ts';
import type { StoreClient } from '../object-store/store-client.ts';
import { askForJson, refusedToken, requestToken } from '../object-store/token-service.ts';
import type { Signer } from './signed-url.ts';

const SCOPE = 'https://www.googleapis.com/auth/devstorage.full_control';
/** Of tokens that have to sign as well. */
const CLOUD_SCOPE = 'https://www.googleapis.com/auth/cloud-platform';

const TOKEN_SERVICE = 'https://oauth2.googleapis.com/token';

export interface GcsCredentials {
  readonly token: TokenKeeper;
  /** Absent for identities that cannot sign. */
  readonly signer: Signer | undefined;
}

export interface CredentialDependencies {
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For services on the network. */
  readonly client: StoreClient;
  /** For services of the machine itself, which no proxy leads to. */
  readonly local: StoreClient;
  /** The service that signs for identities without a key of their own. */
  readonly iam: URL;
}

/** A JSON file of credentials, as Google's tools write it. */
export type CredentialFile = Readonly<Record<string, unknown>>;

/**
 * Application Default Credentials: the file that the environment names, that of the gcloud command, or the service account
 * of the machine or pod, in this order. https://cloud.google.com/docs/authentication/application-default-credentials
 */
export async function defaultCredentials(deps: CredentialDependencies): Promise<GcsCredentials> {
  const { environment } = deps;
  const named = environment['GOOGLE_APPLICATION_CREDENTIALS'];
  if (named) return fileCredentials(await readCredentialFile(named), deps);
  const folder = environment['CLOUDSDK_CONFIG'] || `${environment['HOME'] ?? ''}/.config/gcloud`;
  const wellKnown = `${folder}/application_default_credentials.json`;
  const found = await readFile(wellKnown, 'utf8').catch(() => undefined);
  if (found !== undefined) return fileCredentials(parseCredentialFile(found, wellKnown), deps);
  return metadataCredentials(deps);
}

/** @throws Error that names the file when it cannot be read. */
export async function readCredentialFile(path: string): Promise<CredentialFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`the credentials ${path} cannot be read`, { cause: error });
  }
  return parseCredentialFile(text, path);
}

function parseCredentialFile(text: string, path: string): CredentialFile {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return { ...parsed };
  } catch {
    // Not told: the message of the parser quotes the file.
  }
  throw new Error(`the credentials ${path} are no JSON object`);
}

/** @throws Error for a kind of credentials that cannot be used, or one that lacks something. */
export function fileCredentials(file: CredentialFile, deps: CredentialDependencies): GcsCredentials {
  const type = file['type'];
  if (type === 'service_account') return serviceAccount(file, deps);
  if (type === 'external_account') return externalAccount(file, deps);
  if (type === 'authorized_user') return authorizedUser(file, deps);
  throw new Error(
    `Google credentials of the type ${JSON.stringify(type)} cannot be used: service_account, external_account or authorized_user`,
  );
}

/** A key of a service account. https://developers.google.com/identity/protocols/oauth2/service-account */
function serviceAccount(file: CredentialFile, { clock, client }: CredentialDependencies): GcsCredentials {
  const email = text(file, 'client_email');
  const key = parseKey(text(file, 'private_key'));
  const url = new URL(textIn(file, 'token_uri') ?? TOKEN_SERVICE);
  const sign = async (content: string): Promise<Buffer> => createSign('RSA-SHA256').update(content).sign(key);
  const fetchToken = async (): Promise<AccessToken> => {
    const now = Math.floor(clock.now() / 1000);
    const header = { alg: 'RS256', typ: 'JWT', kid: file['private_key_id'] };
    const claims = { iss: email, scope: SCOPE, aud: url.href, iat: now, exp: now + 3600 };
    const content = [header, claims].map((part) => base64Url(JSON.stringify(part))).join('.');
    const assertion = `${content}.${base64Url(await sign(content))}`;
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion };
    return requestToken(client, url, { form });
  };
  return { token: new TokenKeeper(fetchToken, clock), signer: { email: async () => email, sign } };
}

function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // Not told: what is wrong with a key is better not quoted.
    throw new Error('the private_key of the Google credentials is no key in PEM');
  }
}

/** What a person has who called `gcloud auth application-default login`. */
function authorizedUser(file: CredentialFile, { clock, client }: CredentialDependencies): GcsCredentials {
  const form = {
    grant_type: 'refresh_token',
    client_id: text(file, 'client_id'),
    client_secret: text(file, 'client_secret'),
    refresh_token: text(file, 'refresh_token'),
  };
  const url = new URL(textIn(file, 'token_uri') ?? TOKEN_SERVICE);
  return { token: new TokenKeeper(() => requestToken(client, url, { form }), clock), signer: undefined };
}

/**
 * A token of another cloud or of a Kubernetes cluster, exchanged for one of Google's. https://google.aip.dev/auth/4117,
 * with tokens from a file or a URL.
 */
function externalAccount(file: CredentialFile, deps: CredentialDependencies): GcsCredentials {
  const { clock, client } = deps;
  const audience = text(file, 'audience');
  const subjectTokenType = text(file, 'subject_token_type');
  const url = new URL(textIn(file, 'token_url') ?? 'https://sts.googleapis.com/v1/token');
  const subjectToken = subjectTokenSource(file, deps);
  const exchange = new TokenKeeper(async () => {
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience,
      scope: CLOUD_SCOPE,
      subject_token_type: subjectTokenType,
      subject_token: await subjectToken(),
    };
    return requestToken(client, url, { form });
  }, clock);
  const impersonation = textIn(file, 'service_account_impersonation_url');
  if (impersonation === undefined) return { token: exchange, signer: undefined };
  const token = new TokenKeeper(() => impersonate(new URL(impersonation), exchange, deps), clock);
  const email = /serviceAccounts\/([^/:]+):/.exec(impersonation)?.[1];
  const signer = email === undefined ? undefined : remoteSigner(async () => email, token, deps);
  return { token, signer };
}

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
async function impersonate(
  url: URL,
  token: TokenKeeper,
  { client }: CredentialDependencies,
): Promise<AccessToken> {
  const answer = await askForJson(client, {
    method: 'POST',
    url,
    headers: { authorization: `Bearer ${await token.get()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ scope: [CLOUD_SCOPE] }),
  });
  return {
    value: String(answer['accessToken']),
    lifetime: (Date.parse(String(answer['expireTime'])) - client.storeTime()) / 1000,
  };
}

/** Where the token to exchange is: read each time, because whoever puts it there renews it. */
function subjectTokenSource(file: CredentialFile, { client }: CredentialDependencies): () => Promise<string> {
  const source = record(file['credential_source']);
  const format = record(source['format']);
  const extract = (content: string, place: string): string => {
    if (format['type'] !== 'json') return content.trim();
    const found = textIn(
      parseCredentialFile(content, place),
      textIn(format, 'subject_token_field_name') ?? '',
    );
    if (found !== undefined) return found;
    throw refusedToken(place, 'there is no subject token in it');
  };
  const path = textIn(source, 'file');
  const url = textIn(source, 'url');
  if (path !== undefined) {
    return async () => {
      const content = await readFile(path, 'utf8').catch((error: unknown) => {
        throw refusedToken(path, `the subject token cannot be read: ${String(error)}`);
      });
      return extract(content, path);
    };
  }
  if (url === undefined) {
    throw new Error(
      'credential_source of external_account must have a file or a url: others are not supported',
    );
  }
  const headers = record(source['headers']) as Record<string, string>; // strings by specification
  return async () => {
    const { status, body } = await client.fetch({ method: 'GET', url: new URL(url), headers });
    if (status !== 200) throw refusedToken(url, `${status}`);
    return extract(body.toString(), url);
  };
}

/**
 * The service account of a machine, or of a pod by GKE's workload identity.
 * https://cloud.google.com/compute/docs/metadata/querying-metadata
 */
function metadataCredentials(deps: CredentialDependencies): GcsCredentials {
  const { clock, environment, local } = deps;
  const host = environment['GCE_METADATA_HOST'] || 'metadata.google.internal';
  const base = `http://${host}/computeMetadata/v1/instance/service-accounts/default`;
  const headers = { 'metadata-flavor': 'Google' };
  const token = new TokenKeeper(() => requestToken(local, new URL(`${base}/token`), { headers }), clock);
  let known: string | undefined;
  const email = async (): Promise<string> => {
    if (known !== undefined) return known;
    const { status, body } = await local.fetch({ method: 'GET', url: new URL(`${base}/email`), headers });
    if (status !== 200) throw refusedToken(base, `${status}`);
    known = body.toString().trim();
    return known;
  };
  return { token, signer: remoteSigner(email, token, deps) };
}

/** Google signs for whom it trusts. https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob */
function remoteSigner(
  email: () => Promise<string>,
  token: TokenKeeper,
  { client, iam }: CredentialDependencies,
): Signer {
  return {
    email,
    async sign(content) {
      const answer = await askForJson(client, {
        method: 'POST',
        url: new URL(`/v1/projects/-/serviceAccounts/${await email()}:signBlob`, iam),
        headers: { authorization: `Bearer ${await token.get()}`, 'content-type': 'application/json' },
        body: JSON.stringify({ payload: Buffer.from(content).toString('base64') }),
      });
      return Buffer.from(String(answer['signedBlob']), 'base64');
    },
  };
}

function text(file: CredentialFile, name: string): string {
  const value = textIn(file, name);
  if (value === undefined) throw new Error(`the Google credentials lack ${name}`);
  return value;
}

function textIn(file: CredentialFile, name: string): string | undefined {
  const value = file[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function record(value: unknown): CredentialFile {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function base64Url(content: string | Buffer): string {
  return Buffer.from(content).toString('base64url');
}
