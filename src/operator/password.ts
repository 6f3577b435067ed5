import { isUtf8 } from 'node:buffer';
import type { Registry } from '../api/registry.ts';
import { USE_CREDENTIALS, USE_LABEL } from '../api/names.ts';
import type { Secret } from '../kube/resources.ts';
import { dataBytes } from './secret-data.ts';

export type RegistryUser = NonNullable<Registry['spec']['auth']>['htpasswd']['users'][number];

/** Why a user can't log in. Names the Secret and the key, never what is in them. */
export interface UserProblem {
  readonly name: string;
  readonly reason: UserProblemReason;
  readonly message: string;
}

type UserProblemReason = 'SecretNotFound' | 'NotPermitted' | 'KeyNotFound' | 'PasswordUnusable';

type Password = { readonly password: Buffer } | { readonly problem: UserProblem };

/** bcrypt reads no more, so that two longer passwords with the same beginning would be one. */
const LONGEST_PASSWORD_BYTES = 72;

/** Looks up the password of a user in the Secret it refers to, undefined when there is none of that name. */
export function passwordOf(user: RegistryUser, secret: Secret | undefined): Password {
  const { name: secretName, key } = user.passwordSecretRef;
  const problem = (reason: UserProblemReason, message: string): Password => ({
    problem: { name: user.name, reason, message },
  });
  if (secret === undefined) {
    return problem(
      'SecretNotFound',
      `There is no Secret ${secretName}. Make it, with the password under the key ${key}.`,
    );
  }
  if (!mayBeUsed(secret)) {
    return problem(
      'NotPermitted',
      `The Secret ${secretName} does not allow this use. Whoever may change it can: kubectl label secret ${secretName} ${USE_LABEL}=${USE_CREDENTIALS}`,
    );
  }
  const bytes = dataBytes(secret, key);
  if (bytes === undefined) {
    return problem('KeyNotFound', `The Secret ${secretName} has no key ${key}. Add it, or name another key.`);
  }
  const password = withoutLineBreak(bytes);
  const flaw = passwordFlaw(password);
  if (flaw !== undefined) {
    return problem('PasswordUnusable', `The key ${key} of the Secret ${secretName} holds ${flaw}.`);
  }
  return { password };
}

/** Whoever may write a Registry could otherwise read any Secret of the namespace through it. */
function mayBeUsed(secret: Secret): boolean {
  return secret.metadata.labels?.[USE_LABEL] === USE_CREDENTIALS;
}

/** Editors and `echo` end a file with a line break that nobody types when logging in. */
function withoutLineBreak(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

function passwordFlaw(password: Buffer): string | undefined {
  if (password.length === 0) return 'an empty password';
  if (password.length > LONGEST_PASSWORD_BYTES) {
    return `a password of more than ${LONGEST_PASSWORD_BYTES} bytes, which bcrypt would cut`;
  }
  if (!isUtf8(password)) return 'a password that is no UTF-8 text, which no client can send';
  if (password.includes(0)) return 'a password with a null byte, which no client can send';
  return undefined;
}
