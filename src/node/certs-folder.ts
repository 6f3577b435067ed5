import { join } from 'node:path';
import type { NodeRuntime, RegistryHost } from '../contract/node-plan.ts';
import { HOSTS_FILE, type DesiredFile } from './desired-files.ts';
import { codeOf, type HostFiles } from './host-files.ts';
import { ownersOf } from './marker.ts';

/**
 * The folder in which a runtime looks registries up, with one folder for each:
 *
 *     certs.d/
 *       docker.io/                    the first that exists of host_port_, host:port and _default is read, even empty
 *         hosts.toml                  where to pull from; names the next; absent: the registry itself
 *         stevedore-mirror.pem        what certificates of the mirror are verified with
 *       .stevedore-new-quay.io/       ours, on its way in; no runtime looks here
 *       .stevedore-old-ghcr.io/       ours, on its way out
 *
 * What is made appears whole, by the rename of a folder, or in an order in which `hosts.toml` never names what is not
 * there. A crash between any two steps leaves a tree by which pulls succeed, and from which the next look goes on.
 */
export interface CertsFolder {
  readonly files: HostFiles;
  readonly path: string;
  readonly runtime: NodeRuntime;
  /** As it is called on the node, for messages. */
  readonly shown: string;
}

/** What was found, by name. A name without folder is something else, as a file or a link. */
export type CertsLook = ReadonlyMap<string, FolderLook | undefined>;

interface FolderLook {
  /** Text by name: what has our marker or our prefix. */
  readonly own: ReadonlyMap<string, string>;
  readonly foreign: readonly string[];
}

/** Of files that are being written. */
const PREFIX = '.stevedore-';
/** Of folders that are being made, and of those that are being removed. */
const NEW = `${PREFIX}new-`;
const OLD = `${PREFIX}old-`;

/** Looks at everything, and removes what a run that was cut off left behind. @throws Error when there is no such folder */
export async function lookAround(certs: CertsFolder): Promise<CertsLook> {
  const { files, path, shown } = certs;
  const look = new Map<string, FolderLook | undefined>();
  const names = await files.list(path);
  if (names === undefined) throw new Error(`There is no folder ${shown} on this node.`);
  for (const name of names) {
    if (name.startsWith(NEW)) await discard(certs, name);
    else if (name.startsWith(OLD)) await clear(certs, name.slice(OLD.length));
    else look.set(name, await lookAt(files, join(path, name)));
  }
  return look;
}

async function lookAt(files: HostFiles, folder: string): Promise<FolderLook | undefined> {
  const own = new Map<string, string>();
  const foreign: string[] = [];
  const names = await files.list(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  });
  for (const name of names ?? []) {
    const text = await files.read(join(folder, name));
    if (name.startsWith(PREFIX) || (text !== undefined && ownersOf(text) !== undefined)) {
      own.set(name, text ?? '');
    } else foreign.push(name);
  }
  return names === undefined ? undefined : { own, foreign };
}

/**
 * Why nothing may be written for a registry: what somebody else has there would be changed, or would lose its effect.
 * @param file what is to be written: `hosts.toml`, which says what all else in the folder means, or one that counts beside others
 * @returns undefined when it may
 */
export function obstacleOf(
  look: CertsLook,
  { shown }: Pick<CertsFolder, 'shown'>,
  host: RegistryHost,
  file: string,
): string | undefined {
  if (look.has('_backup')) {
    return `Spegel has ${shown} to itself, as its folder _backup tells: it removes what others write. Use one of both.`;
  }
  const rival = host.replace(/:(\d+)$/, '_$1_');
  if (rival !== host && look.has(rival)) {
    return `There is ${shown}/${rival}, which goes before ${host}. ${MOVE_IT}`;
  }
  const found = look.get(host);
  if (look.has(host) && found === undefined) return `${shown}/${host} is no folder. ${MOVE_IT}`;
  const foreign = found?.foreign ?? [];
  const isTaken = foreign.includes(HOSTS_FILE) || foreign.includes(file);
  if (isTaken || (foreign.length > 0 && file === HOSTS_FILE)) {
    return `${shown}/${host} holds ${foreign.join(', ')}, which somebody else has written. ${MOVE_IT}`;
  }
  const fallback = look.get('_default');
  const hides = fallback !== undefined && fallback.own.size + fallback.foreign.length > 0;
  if (foreign.length === 0 && hides) {
    return `${shown}/_default is there, and no longer holds for ${host} once it has a folder of its own. ${MOVE_IT}`;
  }
  return undefined;
}

const MOVE_IT = 'Move it away, or leave this registry to it.';

/**
 * Makes what is ours in the folder of a registry as desired.
 * @returns the names of what is to go and has to wait for the next look
 */
export async function bring(
  certs: CertsFolder,
  look: CertsLook,
  host: string,
  desired: readonly DesiredFile[],
): Promise<readonly string[]> {
  const found = look.get(host);
  if (found === undefined || found.own.size + found.foreign.length === 0) {
    // An empty folder of somebody else stays, though nothing depends on it.
    if (desired.length > 0) await make(certs, host, desired);
    return [];
  }
  if (desired.length > 0) return change(certs, host, found, desired);
  return found.own.size > 0 ? takeBack(certs, host, found) : [];
}

/** A folder appears with all that is in it. */
async function make(
  { files, path }: CertsFolder,
  host: string,
  desired: readonly DesiredFile[],
): Promise<void> {
  const inTheMaking = join(path, `${NEW}${host}`);
  await files.makeFolder(inTheMaking);
  for (const { name, text, mode } of desired) await files.write(join(inTheMaking, name), text, mode);
  await files.sync(inTheMaking);
  await files.rename(inTheMaking, join(path, host));
  await files.sync(path);
}

async function change(
  { files, path }: CertsFolder,
  host: string,
  { own }: FolderLook,
  desired: readonly DesiredFile[],
): Promise<readonly string[]> {
  const folder = join(path, host);
  const wanted = new Set(desired.map(({ name }) => name));
  const changed = desired.filter(({ name, text }) => own.get(name) !== text);
  const surplus = [...own.keys()].filter((name) => !wanted.has(name));
  if (changed.length === 0 && surplus.length === 0) return [];
  // A runtime may have read just now what names them.
  const mustWait =
    own.has(HOSTS_FILE) && (surplus.includes(HOSTS_FILE) || changed.some(({ name }) => name === HOSTS_FILE));
  const waiting = surplus.filter((name) => mustWait && name !== HOSTS_FILE && !name.startsWith(PREFIX));
  if (surplus.includes(HOSTS_FILE)) await files.remove(join(folder, HOSTS_FILE));
  for (const file of changed) await replace(files, folder, own, file);
  for (const name of surplus) {
    // What was half written under a temporary name may have been written anew.
    const isGone = name === HOSTS_FILE || changed.some((file) => name === `${PREFIX}${file.name}`);
    if (!isGone && !waiting.includes(name)) await files.remove(join(folder, name));
  }
  await files.sync(folder);
  return waiting;
}

async function replace(
  files: HostFiles,
  folder: string,
  own: ReadonlyMap<string, string>,
  { name, text, mode }: DesiredFile,
): Promise<void> {
  const temporary = `${PREFIX}${name}`;
  if (own.has(temporary)) await files.remove(join(folder, temporary));
  await files.write(join(folder, temporary), text, mode);
  await files.rename(join(folder, temporary), join(folder, name));
}

/** `hosts.toml` first, and at the next look the rest: by then no runtime has yet to read what it named. */
async function takeBack(
  certs: CertsFolder,
  host: string,
  { own, foreign }: FolderLook,
): Promise<readonly string[]> {
  const { files, path } = certs;
  const folder = join(path, host);
  if (own.has(HOSTS_FILE) && own.size + foreign.length > 1) {
    await files.remove(join(folder, HOSTS_FILE));
    await files.sync(folder);
    return [...own.keys()].filter((name) => name !== HOSTS_FILE);
  }
  if (foreign.length > 0) {
    for (const name of own.keys()) await files.remove(join(folder, name));
    await files.sync(folder);
  } else {
    // Emptied where it is, it would hide `_default` if the next step never came.
    await files.rename(folder, join(path, `${OLD}${host}`));
    await files.sync(path);
    await clear(certs, host);
  }
  return [];
}

/** Removes a folder that was on its way in when a run was cut off. What is in it may have no marker yet. */
async function discard({ files, path }: CertsFolder, name: string): Promise<void> {
  const folder = join(path, name);
  for (const file of (await files.list(folder)) ?? []) await files.remove(join(folder, file));
  await files.removeFolder(folder);
}

/** Removes a folder that is on its way out. Should somebody have put something in meanwhile, it goes back. */
async function clear({ files, path }: CertsFolder, host: string): Promise<void> {
  const folder = join(path, `${OLD}${host}`);
  const found = await lookAt(files, folder);
  if (found === undefined) return;
  for (const name of found.own.keys()) await files.remove(join(folder, name));
  if (found.foreign.length > 0) await files.rename(folder, join(path, host));
  else await files.removeFolder(folder);
}
