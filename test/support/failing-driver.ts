import type { StorageDriver, WalkedFile } from '../../src/registry/storage/driver.ts';

/** A driver of which one call fails. */
export interface FailingDriver {
  readonly driver: StorageDriver;
  /** The call that failed, once it has. */
  readonly failed: () => string | undefined;
}

/**
 * @param call which one, counted from 1
 * @param when `before` it has an effect, or `after` it had one, as when an answer is lost
 */
export function failingDriver(driver: StorageDriver, call: number, when: 'before' | 'after'): FailingDriver {
  let calls = 0;
  let failed: string | undefined;
  async function* walk(path: string): AsyncIterable<WalkedFile> {
    const isIt = ++calls === call;
    if (isIt) failed = `walk ${path}`;
    if (!isIt || when === 'after') yield* driver.walk?.(path) ?? [];
    if (isIt) throw new Error('input/output error');
  }
  const failing = new Proxy(driver, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name === 'walk') return walk;
      return async (...args: readonly unknown[]): Promise<unknown> => {
        if (++calls !== call) return Reflect.apply(value, target, args) as unknown;
        failed = `${String(name)} ${String(args[0])}`;
        if (when === 'after') await Promise.allSettled([Reflect.apply(value, target, args)]);
        throw new Error('input/output error');
      };
    },
  });
  return { driver: failing, failed: () => failed };
}
