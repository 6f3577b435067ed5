import { Registry, collectDefaultMetrics } from 'prom-client';
import packageFile from '../../package.json' with { type: 'json' };
import { systemClock } from '../process/clock.ts';
import { ServerConfigError, startRegistryServer, type RegistryServer } from '../registry/server.ts';
import type { Command, ExitCode, Invocation } from './command.ts';
import { printProblems, readConfig } from './config-file.ts';
import { openLog } from './config-log.ts';

export const serve: Command = {
  summary: "Run the registry server; CONFIG is docker distribution's config.yml.",
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
  const strict = invocation.values['strict'] === true;
  const loaded = await readConfig(invocation, { checkFiles: true, strict });
  if (loaded === undefined) return 2;
  const { config } = loaded;
  const log = openLog(loaded, invocation.stderr);
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  let server: RegistryServer;
  try {
    server = await startRegistryServer({
      config,
      configHash: loaded.hash,
      version: packageFile.version,
      clock: systemClock,
      log,
      metrics,
      stdout: invocation.stdout,
      environment: invocation.environment,
    });
  } catch (error) {
    if (error instanceof ServerConfigError) {
      printProblems(invocation.stderr, {
        file: loaded.file,
        errors: error.problems,
        warnings: [],
        notices: [],
      });
      return 2;
    }
    const reason = error instanceof Error ? error.message : String(error);
    if (config.log.formatter === 'text')
      invocation.stderr.write(`stevedore serve: cannot start: ${reason}\n`);
    else log.error({ reason }, 'cannot start');
    log.debug({ error }, 'the cause');
    return 1;
  }
  await aborted(invocation.signal);
  log.info({ draintimeout: config.http.draintimeout }, 'stopping');
  await server.stop();
  log.info({}, 'stopped');
  return 0;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
