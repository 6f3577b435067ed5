import { readFile } from 'node:fs/promises';
import { RegistryError } from '../../errors.ts';
import { askForJson, refusedToken } from '../object-store/token-service.ts';
import type { StoreRequest } from '../object-store/store-client.ts';
import type { CredentialOptions, LastingCredentials } from './credentials.ts';

/** Where a container is told of its role: Amazon ECS, and Amazon EKS Pod Identity by IPv4 and IPv6. */
const CONTAINER_HOSTS = /^(?:169\.254\.170\.(?:2|23)|\[fd00:ec2::23\]|localhost|127(?:\.\d+){3}|\[::1\])$/;

/** How long the machine's own service has to answer, in milliseconds: elsewhere there is nobody at its address. */
const MACHINE_ANSWERS_WITHIN = 2000;

/**
 * Credentials of the role of the container: Amazon ECS tasks, and pods of Amazon EKS with Pod Identity. The file with
 * the authorization is read each time, because the kubelet renews it.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
export async function containerCredentials({
  environment,
  clock,
  local,
}: CredentialOptions): Promise<LastingCredentials | undefined> {
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const full = environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  if (!relative && !full) return undefined;
  const url = relative ? new URL(relative, 'http://169.254.170.2') : new URL(full ?? '');
  if (url.protocol !== 'https:' && !CONTAINER_HOSTS.test(url.hostname)) {
    throw refusedToken(
      url,
      'AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or an address of this machine',
    );
  }
  const authorization = await containerAuthorization(environment);
  const request: StoreRequest = {
    method: 'GET',
    url,
    headers: { accept: 'application/json', ...(authorization && { authorization }) },
  };
  return credentialsOf(await askForJson(local, request), url, clock.now());
}

async function containerAuthorization(
  environment: CredentialOptions['environment'],
): Promise<string | undefined> {
  const file = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  if (!file) return environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw refusedToken(file, `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read: ${String(error)}`);
  }
}

/**
 * Credentials of the role of the machine, by version 2 of the instance metadata service, which asks for a token first.
 * @returns undefined where there is no such service, or no role.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
 */
export async function machineCredentials(
  options: CredentialOptions,
): Promise<LastingCredentials | undefined> {
  const { environment, clock, local } = options;
  if (environment['AWS_EC2_METADATA_DISABLED'] === 'true') return undefined;
  const endpoint = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || 'http://169.254.169.254';
  const place = (path: string): URL => new URL(`latest/${path}`, `${endpoint.replace(/\/+$/, '')}/`);
  const token = await machineToken(options, place('api/token'));
  if (token === undefined) return undefined;
  const headers = { 'x-aws-ec2-metadata-token': token };
  const roles = place('meta-data/iam/security-credentials/');
  const listed = await local.fetch({ method: 'GET', url: roles, headers });
  const role = listed.body.toString().split('\n', 1)[0]?.trim();
  if (listed.status === 404 || !role) return undefined;
  if (listed.status !== 200) throw refusedToken(roles, String(listed.status));
  const url = new URL(encodeURIComponent(role), roles);
  return credentialsOf(await askForJson(local, { method: 'GET', url, headers }), url, clock.now());
}

async function machineToken({ clock, local }: CredentialOptions, url: URL): Promise<string | undefined> {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' };
  const late = new AbortController();
  try {
    const answer = await Promise.race([
      local.fetchOnce({ method: 'PUT', url, headers }),
      clock.sleep(MACHINE_ANSWERS_WITHIN, late.signal).then(() => undefined),
    ]);
    return answer?.status === 200 ? answer.body.toString() : undefined;
  } catch (error) {
    // Nobody is at that address.
    if (error instanceof RegistryError) return undefined;
    throw error;
  } finally {
    late.abort();
  }
}

function credentialsOf(
  answer: Readonly<Record<string, unknown>>,
  from: URL,
  now: number,
): LastingCredentials {
  const {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: expiration,
  } = answer;
  if (
    typeof accessKeyId !== 'string' ||
    typeof secretAccessKey !== 'string' ||
    typeof sessionToken !== 'string'
  ) {
    throw refusedToken(from, 'an answer without keys');
  }
  return {
    value: { accessKeyId, secretAccessKey, sessionToken },
    lifetime: (Date.parse(String(expiration)) - now) / 1000,
  };
}
