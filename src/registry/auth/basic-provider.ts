import { RegistryError } from '../errors.ts';
import { decodeCredentials, parseBasicCredentials, type BasicCredentials } from './basic-credentials.ts';
import type { GuessDelay } from './guess-delay.ts';
import type { PasswordFile } from './htpasswd.ts';
import { scopeOf } from './need.ts';
import { bearerChallenge, quoted, type AuthProvider, type Caller, type Identity } from './provider.ts';

/** Users with passwords, from an htpasswd file. */
export interface BasicProvider extends AuthProvider {
  /**
   * A token for the credentials that the caller has, for the registry's own token endpoint. It is these credentials in
   * another shape: docker's clients send a password only when they are asked for one, and go on without only when they are
   * asked for a token. So where nobody may pull, clients are asked for a token.
   * @returns undefined for wrong credentials.
   */
  token(caller: Caller): Promise<string | undefined>;
}

/**
 * @param options.tokenUrl where clients get tokens; undefined as long as everybody needs a password.
 */
export function basicProvider(options: {
  readonly realm: string;
  readonly passwords: PasswordFile;
  readonly delay: GuessDelay;
  readonly tokenUrl: (caller: Caller) => string | undefined;
}): BasicProvider {
  const { realm, passwords, delay } = options;

  async function check(
    credentials: BasicCredentials | 'nobody' | undefined,
    caller: Caller,
  ): Promise<Identity | 'wrong'> {
    if (credentials === undefined) return 'wrong';
    if (credentials === 'nobody') return { user: undefined };
    const { user } = credentials;
    if (await verified(passwords, credentials)) return { user };
    await delay.failed(caller.remote, user, caller.signal);
    return 'wrong';
  }

  return {
    async identify(caller) {
      const { authorization } = caller;
      if (authorization === undefined) return 'none';
      const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
      return check(
        token === undefined ? parseBasicCredentials(authorization) : decodeCredentials(token),
        caller,
      );
    },
    challenge(caller, needs, error) {
      const tokenUrl = options.tokenUrl(caller);
      if (tokenUrl === undefined) return `Basic realm=${quoted(realm)}`;
      return bearerChallenge({ realm: tokenUrl, service: realm, scope: scopeOf(needs), error });
    },
    async token({ authorization, ...caller }) {
      const credentials = authorization === undefined ? 'nobody' : parseBasicCredentials(authorization);
      const identity = await check(credentials, { authorization, ...caller });
      if (identity === 'wrong' || credentials === undefined) return undefined;
      const text = credentials === 'nobody' ? ':' : `${credentials.user}:${credentials.password}`;
      return Buffer.from(text).toString('base64url');
    },
  };
}

async function verified(passwords: PasswordFile, { user, password }: BasicCredentials): Promise<boolean> {
  try {
    return await passwords.verify(user, password);
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    throw new RegistryError({ code: 'UNAVAILABLE', message: 'passwords cannot be checked now' }, { cause });
  }
}
