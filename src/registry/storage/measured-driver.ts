import type { Registry } from 'prom-client';
import type { Clock } from '../../process/clock.ts';
import { PlainHistogram, SECONDS, type Series } from '../../process/plain-histogram.ts';
import type { StorageDriver } from './driver.ts';

/** docker distribution's names, where it has one. */
type Action =
  | 'Delete'
  | 'GetContent'
  | 'List'
  | 'Move'
  | 'Publish'
  | 'PutContent'
  | 'Reader'
  | 'RedirectURL'
  | 'Seal'
  | 'Stat'
  | 'Writer';

/**
 * Measures how long a driver takes, as `registry_storage_action_seconds`. Readers and writers until they are open; what
 * then goes through them takes as long as the client does.
 */
export function measureDriver(
  driver: StorageDriver,
  deps: { readonly registry: Registry; readonly clock: Clock },
): StorageDriver {
  const { clock } = deps;
  const histogram = new PlainHistogram(deps.registry, {
    name: 'registry_storage_action_seconds',
    help: 'Time that the storage took, by driver and action; of a reader and a writer until it is open.',
    bounds: SECONDS,
  });
  const actions = new Map<Action, Series>();
  const seriesOf = (action: Action): Series => {
    const known = actions.get(action) ?? histogram.series({ driver: driver.name, action });
    actions.set(action, known);
    return known;
  };
  async function time<T>(action: Action, work: () => Promise<T>): Promise<T> {
    const began = clock.monotonic();
    try {
      return await work();
    } finally {
      seriesOf(action).observe((clock.monotonic() - began) / 1000);
    }
  }
  // Every method is named, so that none is lost when the interface grows.
  const measured: { readonly [K in keyof Required<StorageDriver>]: StorageDriver[K] | undefined } = {
    name: driver.name,
    movesAtomically: driver.movesAtomically,
    getContent: (path) => time('GetContent', () => driver.getContent(path)),
    putContent: (path, content, options) =>
      time('PutContent', () => driver.putContent(path, content, options)),
    publish: (files, beforeVisible) => time('Publish', () => driver.publish(files, beforeVisible)),
    read: (path, range) => time('Reader', () => driver.read(path, range)),
    writer: (path, options) => time('Writer', () => driver.writer(path, options)),
    unpublishedSize: (path) => time('Stat', () => driver.unpublishedSize(path)),
    seal: (path) => time('Seal', () => driver.seal(path)),
    redirectUrl: driver.redirectUrl
      ? (path, method) => time('RedirectURL', async () => driver.redirectUrl?.(path, method))
      : undefined,
    stat: (path) => time('Stat', () => driver.stat(path)),
    list: (path) => time('List', () => driver.list(path)),
    move: (from, to) => time('Move', () => driver.move(from, to)),
    moveIfAbsent: driver.moveIfAbsent
      ? (from, to) => time('Move', async () => (await driver.moveIfAbsent?.(from, to)) ?? false)
      : undefined,
    moveWithFolder: driver.moveWithFolder
      ? (from, to) => time('Move', async () => driver.moveWithFolder?.(from, to))
      : undefined,
    removeWithFolder: driver.removeWithFolder
      ? (path) => time('Delete', async () => driver.removeWithFolder?.(path))
      : undefined,
    settle: driver.settle ? async (folders) => driver.settle?.(folders) : undefined,
    delete: (path, options) => time('Delete', () => driver.delete(path, options)),
    deleteWithin: driver.deleteWithin
      ? (path, milliseconds) => time('Delete', async () => driver.deleteWithin?.(path, milliseconds))
      : undefined,
    deleteAllWithin: driver.deleteAllWithin
      ? (paths, milliseconds) => time('Delete', async () => driver.deleteAllWithin?.(paths, milliseconds))
      : undefined,
    walk: driver.walk?.bind(driver),
    removeIfEmpty: (path) => driver.removeIfEmpty(path),
  };
  // What the driver lacks is undefined, which is as good as absent to whoever asks for it.
  return measured as StorageDriver;
}
