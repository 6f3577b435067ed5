import { readFile } from 'node:fs/promises';
import type { StoreRequest } from '../object-store/store-client.ts';
import { elements, elementText } from '../object-store/xml.ts';
import { refusedToken } from '../object-store/token-service.ts';
import type { CredentialOptions, Credentials, LastingCredentials } from './credentials.ts';
import { amazonDomain } from './s3-address.ts';
import { encodeQuery, SignatureV4 } from './signature-v4.ts';

/** What the session is called in Amazon's logs. */
const SESSION = 'stevedore-registry';

/**
 * Credentials of a role for the token of a Kubernetes service account or another provider (IAM roles for service
 * accounts). The token's file is read each time, because the kubelet renews it.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */
export async function webIdentityCredentials(
  options: CredentialOptions,
  {
    file,
    role,
    session,
  }: { readonly file: string; readonly role: string; readonly session?: string | undefined },
): Promise<LastingCredentials> {
  let token: string;
  try {
    token = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw refusedToken(file, `the web identity token cannot be read: ${String(error)}`);
  }
  return askForRole(options, {
    Action: 'AssumeRoleWithWebIdentity',
    RoleArn: role,
    RoleSessionName: session || SESSION,
    WebIdentityToken: token,
  });
}

/**
 * Credentials of a role that other credentials may take on.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
export async function assumedRoleCredentials(
  options: CredentialOptions,
  from: Credentials,
  {
    role,
    session,
    externalId,
  }: {
    readonly role: string;
    readonly session?: string | undefined;
    readonly externalId?: string | undefined;
  },
): Promise<LastingCredentials> {
  return askForRole(
    options,
    {
      Action: 'AssumeRole',
      RoleArn: role,
      RoleSessionName: session || SESSION,
      ...(externalId && { ExternalId: externalId }),
    },
    from,
  );
}

async function askForRole(
  { environment, region, clock, client }: CredentialOptions,
  parameters: Readonly<Record<string, string>>,
  signWith?: Credentials,
): Promise<LastingCredentials> {
  const place = environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || region;
  const url = new URL(environment['AWS_ENDPOINT_URL_STS'] || `https://sts.${place}.${amazonDomain(place)}/`);
  url.search = encodeQuery(Object.entries({ Version: '2011-06-15', ...parameters }));
  const request: StoreRequest = { method: 'GET', url };
  const signature = new SignatureV4({ region: place, service: 'sts' });
  const signed = signWith ? signature.sign(request, signWith, clock.now()) : request;
  const { status, body } = await client.fetch(signed);
  const text = body.toString();
  const [found = ''] = elements(text, 'Credentials');
  const accessKeyId = elementText(found, 'AccessKeyId');
  const secretAccessKey = elementText(found, 'SecretAccessKey');
  const sessionToken = elementText(found, 'SessionToken');
  if (status !== 200 || !accessKeyId || !secretAccessKey || !sessionToken) {
    const reason = [status, elementText(text, 'Code'), elementText(text, 'Message')]
      .filter(Boolean)
      .join(' ');
    throw refusedToken(url, `${parameters['Action']} of ${parameters['RoleArn']}: ${reason}`);
  }
  return {
    value: { accessKeyId, secretAccessKey, sessionToken },
    lifetime: (Date.parse(elementText(found, 'Expiration') ?? '') - clock.now()) / 1000,
  };
}
