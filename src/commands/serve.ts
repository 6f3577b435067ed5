import { Registry, collectDefaultMetrics } from 'prom-client';
import packageFile from '../../package.json' with { type: 'json' };
import type { Config } from '../contract/config/config.ts';
import { mirrorSettings } from '../contract/config/mirror-settings.ts';
import { systemClock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { ServerConfigError } from '../registry/opening.ts';
import type { RegistryServer } from '../registry/serve-api.ts';
import { startRegistryServer } from '../registry/server.ts';
import { forkWorker, workerSelf, type WorkerSelf } from '../registry/workers/cluster.ts';
import { connectPeers, type Peers } from '../registry/workers/peers.ts';
import { startWorkers, WorkerStartError } from '../registry/workers/workers.ts';
import { aborted } from './aborted.ts';
import type { Command, ExitCode, Invocation } from './command.ts';
import { printProblems, readConfig } from './config-file.ts';
import { openLog } from './config-log.ts';

export const serve: Command = {
  summary: "Run the registry server, or a mirror; CONFIG is docker distribution's config.yml.",
  usage: 'CONFIG',
  options: {
    strict: {
      type: 'boolean',
      description: 'Refuse what docker distribution would ignore, such as a key that is no option.',
    },
  },
  run,
};

async function run(invocation: Invocation): Promise<ExitCode> {
  const self = workerSelf(invocation.environment);
  if (self) return runWorker(invocation, self);
  const strict = invocation.values['strict'] === true;
  const loaded = await readConfig(invocation, { checkFiles: true, strict });
  if (loaded === undefined) return 2;
  const { config, hash: configHash, file: configFile } = loaded;
  const log = openLog(loaded, invocation.stderr);
  const start =
    config.stevedore.workers > 1
      ? (): Promise<RegistryServer> =>
          startWorkers({
            config,
            configHash,
            configFile,
            clock: systemClock,
            log,
            metrics: new Registry(),
            environment: invocation.environment,
            fork: forkWorker,
          })
      : (): Promise<RegistryServer> => startOne(invocation, { config, configHash, log });
  return runServer(start, { config, configFile, log, signal: invocation.signal, stderr: invocation.stderr });
}

/** One of several processes. What it serves comes from the primary, and so does the word to stop. */
async function runWorker(invocation: Invocation, self: WorkerSelf): Promise<ExitCode> {
  const stopped = new AbortController();
  const peers = connectPeers(self.number, self.port, () => stopped.abort());
  const { config, configHash, configFile } = await peers.settings();
  const more = { worker: String(self.number) };
  const log = openLog({ config, warnings: [], notices: [] }, invocation.stderr, more);
  const start = (): Promise<RegistryServer> => startOne(invocation, { config, configHash, log, peers });
  const signal = AbortSignal.any([invocation.signal, stopped.signal]);
  try {
    return await runServer(start, { config, configFile, log, signal, stderr: invocation.stderr });
  } finally {
    self.release();
  }
}

async function startOne(
  invocation: Invocation,
  deps: {
    readonly config: Config;
    readonly configHash: string;
    readonly log: Logger;
    readonly peers?: Peers;
  },
): Promise<RegistryServer> {
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  const server = {
    ...deps,
    version: packageFile.version,
    clock: systemClock,
    metrics,
    stdout: invocation.stdout,
    environment: invocation.environment,
  };
  const mirror = mirrorSettings(deps.config);
  if (mirror === undefined) return startRegistryServer(server);
  const { startMirrorServer } = await import('../mirror/mirror-server.ts');
  return startMirrorServer(server, mirror);
}

async function runServer(
  start: () => Promise<RegistryServer>,
  deps: Telling & { readonly signal: AbortSignal },
): Promise<ExitCode> {
  const { config, log, signal } = deps;
  let server: RegistryServer;
  try {
    server = await start();
  } catch (error) {
    return tellWhy(error, deps);
  }
  await aborted(signal);
  log.info({ draintimeout: config.http.draintimeout }, 'stopping');
  await server.stop();
  log.info({}, 'stopped');
  return 0;
}

interface Telling {
  readonly config: Config;
  readonly configFile: string;
  readonly log: Logger;
  readonly stderr: NodeJS.WritableStream;
}

/** Why a server could not be started. */
function tellWhy(error: unknown, { config, configFile, log, stderr }: Telling): ExitCode {
  // The worker has said it.
  if (error instanceof WorkerStartError) return error.code === 2 ? 2 : 1;
  if (error instanceof ServerConfigError) {
    printProblems(stderr, { file: configFile, errors: error.problems, warnings: [], notices: [] });
    return 2;
  }
  const reason = error instanceof Error ? error.message : String(error);
  if (config.log.formatter === 'text') stderr.write(`stevedore serve: cannot start: ${reason}\n`);
  else log.error({ reason }, 'cannot start');
  log.debug({ error }, 'the cause');
  return 1;
}
