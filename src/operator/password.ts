import { isUtf8 } from 'node:buffer';
import type { Secret } from '../kube/resources.ts';
import { mayBeUsed, notPermitted } from './credentials.ts';
import { dataBytes } from './secret-data.ts';

/** Why a user can't log in. Names the Secret and the key, never what is in them. */
export interface UserProblem {
  /** The user, or the Secret or the rule that is about several. */
  readonly name: string;
  readonly reason:
    | 'SecretNotFound'
    | 'NotPermitted'
    | 'KeyNotFound'
    | 'PasswordUnusable'
    | 'EntryInvalid'
    | 'DuplicateUser'
    | 'UnknownGroup';
  readonly message: string;
}

export type Password = { readonly password: Buffer } | { readonly problem: UserProblem };

/** Whose password is where. */
export interface PasswordPlace {
  /** The user. */
  readonly name: string;
  readonly secretName: string;
  readonly key: string;
}

/** bcrypt reads no more, so that two longer passwords with the same beginning would be one. */
const LONGEST_PASSWORD_BYTES = 72;

/** Looks up a password in a Secret of the user's own; undefined: there is none of that name. */
export function passwordIn(place: PasswordPlace, secret: Secret | undefined): Password {
  const { name, secretName, key } = place;
  const problem = (reason: UserProblem['reason'], message: string): Password => ({
    problem: { name, reason, message },
  });
  if (secret === undefined) {
    return problem(
      'SecretNotFound',
      `There is no Secret ${secretName}. Make it, with the password under the key ${key}.`,
    );
  }
  if (!mayBeUsed(secret)) return problem('NotPermitted', notPermitted(secretName));
  return passwordUnder(place, secret);
}

/** The password in a Secret that may be read. */
export function passwordUnder({ name, secretName, key }: PasswordPlace, secret: Secret): Password {
  const problem = (reason: UserProblem['reason'], message: string): Password => ({
    problem: { name, reason, message },
  });
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
