import { readFile } from 'node:fs/promises';
import type { AccessToken } from '../object-store/access-token.ts';
import type { StoreClient } from '../object-store/store-client.ts';
import { refusedToken, requestToken } from '../object-store/token-service.ts';

const RESOURCE = 'https://storage.azure.com/';

export interface IdentityOptions {
  readonly clientId: string | undefined;
  readonly tenantId: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For services on the network. */
  readonly client: StoreClient;
  /** For services of the machine itself, which no proxy leads to. */
  readonly local: StoreClient;
}

/** An application that proves itself with a secret. */
export function clientSecretToken(
  options: IdentityOptions & { readonly clientId: string; readonly tenantId: string },
  secret: string,
): Promise<AccessToken> {
  return requestEntraToken(options, { client_secret: secret });
}

/**
 * The identity that the platform gives: an application with a secret in the environment, a Kubernetes service account with
 * workload identity, the managed identity of an app or of a machine; the first that the environment speaks of, as in
 * Azure's own libraries.
 */
export async function defaultToken(options: IdentityOptions): Promise<AccessToken> {
  const { environment } = options;
  const clientId = options.clientId ?? environment['AZURE_CLIENT_ID'];
  const tenantId = options.tenantId ?? environment['AZURE_TENANT_ID'];
  if (clientId && tenantId) {
    const identity = { ...options, clientId, tenantId };
    const secret = environment['AZURE_CLIENT_SECRET'];
    if (secret) return requestEntraToken(identity, { client_secret: secret });
    const file = environment['AZURE_FEDERATED_TOKEN_FILE'];
    if (file) return requestEntraToken(identity, await federatedAssertion(file));
  }
  return managedIdentityToken({ ...options, clientId });
}

/** https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
function requestEntraToken(
  options: IdentityOptions & { readonly clientId: string; readonly tenantId: string },
  proof: Readonly<Record<string, string>>,
): Promise<AccessToken> {
  const { clientId, tenantId, environment, client } = options;
  const authority = environment['AZURE_AUTHORITY_HOST'] || 'https://login.microsoftonline.com/';
  const url = new URL(`${tenantId}/oauth2/v2.0/token`, authority.endsWith('/') ? authority : `${authority}/`);
  const form = {
    grant_type: 'client_credentials',
    client_id: clientId,
    scope: `${RESOURCE}.default`,
    ...proof,
  };
  return requestToken(client, url, { form });
}

/** The token of a Kubernetes service account; the kubelet renews the file, so it is read each time. */
async function federatedAssertion(file: string): Promise<Readonly<Record<string, string>>> {
  let token: string;
  try {
    token = await readFile(file, 'utf8');
  } catch (error) {
    throw refusedToken(file, `AZURE_FEDERATED_TOKEN_FILE cannot be read: ${String(error)}`);
  }
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: token.trim(),
  };
}

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
function managedIdentityToken({ clientId, environment, local }: IdentityOptions): Promise<AccessToken> {
  const endpoint = environment['IDENTITY_ENDPOINT'];
  const secret = environment['IDENTITY_HEADER'];
  const onApp = endpoint !== undefined && secret !== undefined;
  const machine = environment['AZURE_POD_IDENTITY_AUTHORITY_HOST'] || 'http://169.254.169.254';
  const url = new URL(onApp ? endpoint : `${machine.replace(/\/$/, '')}/metadata/identity/oauth2/token`);
  url.searchParams.set('api-version', onApp ? '2019-08-01' : '2018-02-01');
  url.searchParams.set('resource', RESOURCE);
  if (clientId) url.searchParams.set('client_id', clientId);
  return requestToken(local, url, {
    headers: onApp ? { 'x-identity-header': secret } : { metadata: 'true' },
  });
}
