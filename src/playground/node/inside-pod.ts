/**
 * Loaded before the program in each process that a node starts (`node --import`); the program itself knows nothing of
 * it. Makes of one process on this machine what a container would be: its mounts are where they belong, it listens on
 * the pod's own address, and it does not outlive the node. `?place=` of its URL is a PodPlace as JSON.
 * docs/decisions/0006-pods-as-processes.md says why.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Server, Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { mapPath, type PodPlace } from './path-map.ts';

/** Functions of node:fs and node:fs/promises whose first argument is a path; of some the second is one too. */
const ONE_PATH =
  'access appendFile chmod chown createReadStream createWriteStream exists lchown lstat lutimes mkdir mkdtemp open openAsBlob opendir readdir readFile readlink realpath rm rmdir stat statfs truncate unlink unwatchFile utimes watch watchFile writeFile';
const TWO_PATHS = 'copyFile cp link rename symlink';
/** The descriptor that closes when the node ends, however it ends. */
const NODE_DESCRIPTOR = 3;

// The node wrote it.
const place = JSON.parse(new URL(import.meta.url).searchParams.get('place') ?? '') as PodPlace;
mapFiles(place);
listenOnOwnAddress(place.address);
// A process that the program forks has its own parent to follow, and a channel to it.
if (isMainThread && process.send === undefined) endWithNode();

function mapFiles(place: PodPlace): void {
  for (const [names, paths] of [
    [ONE_PATH, 1],
    [TWO_PATHS, 2],
  ] as const) {
    for (const name of names.split(' ')) {
      mapArguments(fs.promises, name, paths);
      mapArguments(fs, name, paths);
      mapArguments(fs, `${name}Sync`, paths);
    }
  }
  // Named imports of the modules are set anew from their default exports.
  syncBuiltinESMExports();

  function mapArguments(module: object, name: string, paths: number): void {
    const original: unknown = Reflect.get(module, name);
    if (typeof original !== 'function') return;
    const mapped = function (this: unknown, ...args: readonly unknown[]): unknown {
      const changed = args.map((arg, index) =>
        index < paths && typeof arg === 'string' ? mapPath(place, arg) : arg,
      );
      return Reflect.apply(original, this, changed);
    };
    // What hangs on the function, such as realpath.native, stays.
    Object.defineProperties(mapped, Object.getOwnPropertyDescriptors(original));
    Reflect.set(module, name, mapped);
  }
}

/** A container has an address of its own, and whoever listens on all addresses means that one. */
function listenOnOwnAddress(address: string): void {
  const original: unknown = Reflect.get(Server.prototype, 'listen');
  if (typeof original !== 'function') return;
  Reflect.set(Server.prototype, 'listen', function (this: unknown, ...args: unknown[]): unknown {
    return Reflect.apply(original, this, withHost(args, address));
  });
}

function withHost(args: readonly unknown[], address: string): readonly unknown[] {
  const [first, second, ...rest] = args;
  if (typeof first === 'object' && first !== null && 'port' in first) {
    const host = 'host' in first ? first.host : undefined;
    return isAnyAddress(host) ? [{ ...first, host: address }, second, ...rest] : args;
  }
  const isPort = typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first));
  if (!isPort) return args;
  if (typeof second !== 'string') return [first, address, second, ...rest];
  return isAnyAddress(second) ? [first, address, ...rest] : args;
}

function isAnyAddress(host: unknown): boolean {
  return host === undefined || host === null || host === '' || host === '::' || host === '0.0.0.0';
}

function endWithNode(): void {
  const node = new Socket({ fd: NODE_DESCRIPTOR, readable: true, writable: false });
  node.on('error', () => undefined);
  node.on('close', () => process.kill(process.pid, 'SIGKILL'));
  node.resume();
  node.unref();
}
