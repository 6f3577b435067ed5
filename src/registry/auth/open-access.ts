import { randomBytes } from 'node:crypto';
import { parseAccessRules } from '../../contract/access-rules.ts';
import type { Config } from '../../contract/config/config.ts';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { createAccessController, type AccessController } from './access-controller.ts';
import { basicProvider, type BasicProvider } from './basic-provider.ts';
import { followFile } from './followed-file.ts';
import { GuessDelay } from './guess-delay.ts';
import { openPasswordFile } from './htpasswd.ts';
import type { AuthProvider, Caller } from './provider.ts';
import { sillyProvider } from './silly.ts';
import { tokenProvider } from './token/token-provider.ts';

/** Where clients get tokens of ours, below `/v2/`. */
export const TOKEN_PATH = '_token';

/** Who may use a registry, by its configuration. */
export interface Access {
  readonly controller: AccessController;
  /** Gives out tokens to those who come by a password or without one. */
  readonly tokens: Pick<BasicProvider, 'token'> | undefined;
  /** Users and rules as they are in force now. */
  status(): Pick<StatusDocument, 'users' | 'access'>;
}

export interface AccessDependencies {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  /** Does a part of the work, and notes the option that it failed for. */
  readonly open: <T>(path: string, work: () => T) => Promise<T | undefined>;
}

/** Reads the files that `auth` and `stevedore.auth` name. What cannot be used is told to `deps.open`. */
export async function openAccess(deps: AccessDependencies): Promise<Access> {
  const { config, clock, log, open } = deps;
  const { access: rulesFile, clientcertificates } = config.stevedore.auth;
  const rules =
    rulesFile === undefined
      ? undefined
      : await open('stevedore.auth.access', () =>
          followFile({
            path: rulesFile,
            parse: parseAccessRules,
            changed: () => log.info({ path: rulesFile }, 'read the access rules'),
            clock,
            log,
          }),
        );
  const { htpasswd } = config.auth;
  const passwords =
    htpasswd &&
    (await open('auth.htpasswd.path', () =>
      openPasswordFile({ path: htpasswd.path, secret: randomBytes(32), clock, log }),
    ));
  const tokenUrl = (caller: Caller): string | undefined =>
    rules?.current().anonymousMayPull ? caller.apiUrl(TOKEN_PATH) : undefined;
  const basic =
    htpasswd &&
    passwords &&
    basicProvider({ realm: htpasswd.realm, passwords, delay: new GuessDelay(clock), tokenUrl });
  return {
    controller: createAccessController({
      provider: basic ?? (await otherProvider(deps)),
      rules,
      certificates: clientcertificates,
    }),
    tokens: basic,
    status: () => ({
      ...(passwords && { users: passwords.status() }),
      ...(rules && { access: accessStatus(rules) }),
    }),
  };
}

async function otherProvider({
  config,
  clock,
  log,
  open,
}: AccessDependencies): Promise<AuthProvider | undefined> {
  const { silly, token } = config.auth;
  if (silly !== undefined) return sillyProvider(silly);
  return token && open('auth.token', () => tokenProvider({ options: token, clock, log }));
}

function accessStatus(rules: {
  current(): unknown;
  readonly hash: string;
  readonly problem: string | undefined;
}): NonNullable<StatusDocument['access']> {
  rules.current();
  return { hash: rules.hash, ...(rules.problem !== undefined && { error: rules.problem }) };
}
