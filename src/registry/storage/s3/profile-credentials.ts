import { readFile } from 'node:fs/promises';
import { refusedToken } from '../object-store/token-service.ts';
import {
  environmentCredentials,
  type CredentialOptions,
  type Credentials,
  type LastingCredentials,
} from './credentials.ts';
import { containerCredentials, machineCredentials } from './metadata-credentials.ts';
import { assumedRoleCredentials, webIdentityCredentials } from './role-credentials.ts';

type Profile = Readonly<Record<string, string>>;
type Profiles = ReadonlyMap<string, Profile>;

/** Keys in a file are looked up again after so many seconds, so that changed ones come into force. */
const FILE_LIFETIME = 10 * 60;

/**
 * Credentials of a profile in the shared files `~/.aws/credentials` and `~/.aws/config`: keys, or a role by a web
 * identity, by another profile or by another source.
 * @returns undefined when no file has the profile. @throws for a profile that gets its credentials in another way.
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 */
export async function profileCredentials(
  options: CredentialOptions,
): Promise<LastingCredentials | undefined> {
  const { environment } = options;
  const name = environment['AWS_PROFILE'] || environment['AWS_DEFAULT_PROFILE'] || 'default';
  const profiles = await readProfiles(environment);
  if (!profiles.has(name)) {
    if (name === 'default') return undefined;
    throw refusedToken(`the profile ${name}`, 'is not in the shared files that AWS_PROFILE names it of');
  }
  return credentialsOf(options, profiles, name, new Set());
}

async function credentialsOf(
  options: CredentialOptions,
  profiles: Profiles,
  name: string,
  asked: Set<string>,
): Promise<LastingCredentials | undefined> {
  const profile = profiles.get(name) ?? {};
  const keys = keysOf(profile);
  const role = profile['role_arn'];
  // A profile may name itself as the source of its role, for its own keys.
  if (role === undefined || (asked.has(name) && keys)) {
    if (keys) return { value: keys, lifetime: FILE_LIFETIME };
    const way = ['credential_process', 'sso_session', 'sso_start_url', 'login_session'].find(
      (key) => profile[key],
    );
    if (way === undefined) return undefined;
    throw refusedToken(
      `the profile ${name}`,
      `gets its credentials by ${way}, which the registry does not know`,
    );
  }
  if (asked.has(name)) throw refusedToken(`the profile ${name}`, 'is its own source');
  asked.add(name);
  const session = profile['role_session_name'];
  const file = profile['web_identity_token_file'];
  if (file) return webIdentityCredentials(options, { file, role, session });
  const source = profile['source_profile'];
  const from = source
    ? await credentialsOf(options, profiles, source, asked)
    : await namedSource(options, profile['credential_source']);
  if (!from) throw refusedToken(`the profile ${name}`, `has nothing to take on the role ${role} with`);
  return assumedRoleCredentials(options, from.value, { role, session, externalId: profile['external_id'] });
}

async function namedSource(
  options: CredentialOptions,
  source: string | undefined,
): Promise<LastingCredentials | undefined> {
  if (source === 'Environment') return environmentCredentials(options.environment);
  if (source === 'EcsContainer') return containerCredentials(options);
  if (source === 'Ec2InstanceMetadata') return machineCredentials(options);
  return undefined;
}

function keysOf(profile: Profile): Credentials | undefined {
  const {
    aws_access_key_id: accessKeyId,
    aws_secret_access_key: secretAccessKey,
    aws_session_token: sessionToken,
  } = profile;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

/** The profiles of both files; what `credentials` says of one counts more than what `config` says. */
async function readProfiles(environment: CredentialOptions['environment']): Promise<Profiles> {
  const folder = `${environment['HOME'] ?? ''}/.aws`;
  const config = await readIfThere(environment['AWS_CONFIG_FILE'] || `${folder}/config`);
  const credentials = await readIfThere(
    environment['AWS_SHARED_CREDENTIALS_FILE'] || `${folder}/credentials`,
  );
  const profiles = new Map<string, Profile>();
  for (const [section, values] of parseSections(config)) {
    const name = section === 'default' ? section : /^profile\s+(.+)$/.exec(section)?.[1]?.trim();
    if (name !== undefined) profiles.set(name, values);
  }
  for (const [name, values] of parseSections(credentials)) {
    profiles.set(name, { ...profiles.get(name), ...values });
  }
  return profiles;
}

/** Sections in brackets, with `name = value` lines; an indented line belongs to the value above and says nothing to us. */
function parseSections(text: string): ReadonlyMap<string, Profile> {
  const sections = new Map<string, Record<string, string>>();
  let current: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const section = /^\[([^\]]+)\]/.exec(line)?.[1]?.trim();
    const [, name, value = ''] = /^([^\s#;=[][^=]*?)\s*=\s*(.*?)(?:\s+[#;].*)?\s*$/.exec(line) ?? [];
    if (section !== undefined) sections.set(section, (current = sections.get(section) ?? {}));
    else if (name !== undefined) current[name.toLowerCase()] = value;
  }
  return sections;
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return '';
    throw refusedToken(file, `cannot be read: ${String(error)}`);
  }
}
