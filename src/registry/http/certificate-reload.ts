import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import {
  CertificatePairError,
  readCertificatePair,
  type CertificateFiles,
  type CertificatePair,
} from './certificate-pair.ts';

/** Watching is quick but can miss changes (network file systems, no inotify left), so the files are read as well. */
const POLL_MS = 5000;

/** A pair is often written as two files: wait until both are there before looking. */
const SETTLE_MS = 50;

/** Follows the files of certificate, key and client authorities and hands each new pair that fits to the server. */
export interface CertificateReload {
  /** The pair that new connections get. */
  current(): CertificatePair;
  /** Reads the files now, and serves what they hold if it is a new pair that fits. */
  refresh(): Promise<void>;
  stop(): void;
}

/**
 * @param deps.first what the server was started with.
 * @param deps.serve takes a new pair into use: `tls.Server.setSecureContext`, which leaves open connections alone.
 */
export function reloadCertificate(deps: {
  readonly files: CertificateFiles;
  readonly first: CertificatePair;
  readonly serve: (pair: CertificatePair) => void;
  readonly clock: Clock;
  readonly log: Logger;
}): CertificateReload {
  const { files, clock, log } = deps;
  const stop = new AbortController();
  let current = deps.first;
  /** Of the last files that were refused. */
  let refused = '';
  let last = Promise.resolve();

  async function read(): Promise<void> {
    try {
      const pair = await readCertificatePair(files);
      refused = '';
      if (pair.hash === current.hash) return;
      deps.serve(pair);
      current = pair;
      log.info({ serial: pair.serial, notAfter: pair.notAfter }, 'serving new certificates');
    } catch (error) {
      const hash = error instanceof CertificatePairError ? error.hash : String(error);
      if (hash !== refused) log.warn({ error, serial: current.serial }, 'kept the old certificates');
      refused = hash;
    }
  }

  /** One read at a time, and one that begins after the call: a change during a read is seen by the next. */
  function refresh(): Promise<void> {
    return (last = last.then(read));
  }

  async function keepReading(): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(POLL_MS, stop.signal);
      await refresh();
    }
  }

  let settling = false;
  function changed(): void {
    if (settling) return;
    settling = true;
    clock
      .sleep(SETTLE_MS, stop.signal)
      .then(() => {
        settling = false;
        return refresh();
      })
      .catch(ignoreStop);
  }

  // Folders, not files: a file that is replaced, or the `..data` link of a Secret volume, would be lost from sight.
  const watchers = [
    ...new Set([files.certificate, files.key, ...files.clientCas].map((file) => dirname(file))),
  ].flatMap((folder) => watchFolder(folder, changed, log));
  keepReading().catch(ignoreStop);

  return {
    current: () => current,
    refresh,
    stop() {
      stop.abort();
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** The only thing that can go wrong in the background is the wait being cut short. */
function ignoreStop(): void {}

function watchFolder(folder: string, changed: () => void, log: Logger): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    watcher.on('error', (error) =>
      log.debug({ folder, error }, 'stopped watching, the files are still polled'),
    );
    return [watcher];
  } catch (error) {
    log.debug({ folder, error }, 'cannot watch, the files are polled');
    return [];
  }
}
