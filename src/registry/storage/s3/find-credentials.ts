import { TokenKeeper } from '../object-store/access-token.ts';
import { refusedToken } from '../object-store/token-service.ts';
import {
  environmentCredentials,
  type CredentialOptions,
  type Credentials,
  type LastingCredentials,
} from './credentials.ts';
import { containerCredentials, machineCredentials } from './metadata-credentials.ts';
import { profileCredentials } from './profile-credentials.ts';
import { webIdentityCredentials } from './role-credentials.ts';

/**
 * Credentials from where Amazon's own libraries look for them, the first that the environment speaks of: keys or a web
 * identity in the environment, a profile in the shared files, the container, the machine. Renewed before they end.
 */
export function findCredentials(options: CredentialOptions): TokenKeeper<Credentials> {
  return new TokenKeeper(() => find(options), options.clock);
}

/** Each says undefined when nothing speaks of it, and throws when it cannot give what it should. */
type Source = (options: CredentialOptions) => Promise<LastingCredentials | undefined>;

const sources: readonly Source[] = [
  async ({ environment }) => environmentCredentials(environment),
  async (options) => {
    const { environment } = options;
    const file = environment['AWS_WEB_IDENTITY_TOKEN_FILE'];
    const role = environment['AWS_ROLE_ARN'];
    if (!file || !role) return undefined;
    return webIdentityCredentials(options, { file, role, session: environment['AWS_ROLE_SESSION_NAME'] });
  },
  profileCredentials,
  containerCredentials,
  machineCredentials,
];

async function find(options: CredentialOptions): Promise<LastingCredentials> {
  for (const source of sources) {
    const found = await source(options);
    if (found) return found;
  }
  throw refusedToken(
    'credentials',
    'there are none: set accesskey and secretkey, or give the registry a role (looked for keys in the environment, a ' +
      'web identity, a profile in the shared files, a container role and an instance role)',
  );
}
