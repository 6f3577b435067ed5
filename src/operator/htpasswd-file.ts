import { userNamePattern } from '../api/formats.ts';
import type { Credential } from './user-sources.ts';

/** bcrypt, or a stand-in for it. */
export interface PasswordHasher {
  hash(password: Buffer): Promise<string>;
  verify(password: Buffer, hash: string): Promise<boolean>;
}

type Credentials = ReadonlyMap<string, Credential>;

/** Whether the file says exactly this already, so that nothing need be hashed. */
export async function htpasswdFits(
  credentials: Credentials,
  existing: string,
  hasher: Pick<PasswordHasher, 'verify'>,
): Promise<boolean> {
  const known = hashesIn(existing);
  if (known.size !== credentials.size) return false;
  for (const [name, credential] of credentials) {
    const hash = known.get(name);
    if (hash === undefined || !(await fits(credential, hash, hasher))) return false;
  }
  return true;
}

/**
 * The htpasswd file for these users, sorted by name. A hash that is in `existing` and still fits is kept, since a new
 * one of the same password would differ and be a change of the Secret for nothing.
 */
export async function writeHtpasswd(
  credentials: Credentials,
  existing: string,
  hasher: PasswordHasher,
): Promise<string> {
  const known = hashesIn(existing);
  const lines: string[] = [];
  // One after the other: each takes a thread of Node's small pool for some 60 ms, and others need it too.
  for (const name of [...credentials.keys()].toSorted()) {
    const credential = credentials.get(name);
    if (credential === undefined) continue;
    const hash = known.get(name);
    const kept = hash !== undefined && (await fits(credential, hash, hasher)) ? hash : undefined;
    lines.push(`${name}:${kept ?? (await hashOf(credential, hasher))}\n`);
  }
  return lines.join('');
}

async function fits(
  credential: Credential,
  hash: string,
  hasher: Pick<PasswordHasher, 'verify'>,
): Promise<boolean> {
  return 'hash' in credential ? credential.hash === hash : hasher.verify(credential.password, hash);
}

async function hashOf(credential: Credential, hasher: PasswordHasher): Promise<string> {
  return 'hash' in credential ? credential.hash : hasher.hash(credential.password);
}

/** Why a line of a file that people wrote is left out. */
interface LineProblem {
  /** From 1. */
  readonly line: number;
  readonly reason: 'EntryInvalid' | 'DuplicateUser';
  /** What the line is or does: the end of a sentence. Never what is in it. */
  readonly message: string;
}

/** bcrypt as the server takes it; a cost above 15 would let one login take seconds of CPU. */
const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$/;

/** The `user:hash` lines of a file that people wrote: those that work, and why the others do not. */
export function parseHtpasswd(text: string): {
  readonly entries: readonly { readonly name: string; readonly hash: string }[];
  readonly problems: readonly LineProblem[];
} {
  const entries = new Map<string, string>();
  const problems: LineProblem[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const [name, hash] = [line.slice(0, Math.max(colon, 0)), line.slice(colon + 1)];
    const flaw = flawOf(name, hash, entries);
    if (flaw === undefined) entries.set(name, hash);
    else problems.push({ line: index + 1, ...flaw });
  }
  return { entries: [...entries].map(([name, hash]) => ({ name, hash })), problems };
}

function flawOf(
  name: string,
  hash: string,
  known: ReadonlyMap<string, string>,
): Omit<LineProblem, 'line'> | undefined {
  if (!isUserName(name)) {
    return { reason: 'EntryInvalid', message: 'is not user:hash with a user name in visible ASCII.' };
  }
  if (!BCRYPT.test(hash)) {
    return {
      reason: 'EntryInvalid',
      message: 'has no hash of bcrypt with a cost from 4 to 15. Make one: htpasswd -B, stevedore htpasswd.',
    };
  }
  if (!known.has(name)) return undefined;
  return { reason: 'DuplicateUser', message: 'is for a user that an earlier line has, which counts.' };
}

/** Whether a user may be called so, in the spec as in a Secret. */
export function isUserName(text: string): boolean {
  return text.length <= 128 && USER_NAME.test(text);
}

const USER_NAME = new RegExp(userNamePattern.expression);

/** What we wrote ourselves, or what somebody made of it. */
function hashesIn(text: string): ReadonlyMap<string, string> {
  const entries = text.split('\n').flatMap((line): [string, string][] => {
    const colon = line.indexOf(':');
    return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
  });
  return new Map(entries);
}
