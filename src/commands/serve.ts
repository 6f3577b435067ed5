import { Registry, collectDefaultMetrics } from 'prom-client';
import packageFile from '../../package.json' with { type: 'json' };
import type { Config } from '../contract/config/config.ts';
import { systemClock } from '../process/clock.ts';
import { textLines } from '../process/log-text.ts';
import { createLogger, type Logger } from '../process/logger.ts';
import { ServerConfigError, startRegistryServer, type RegistryServer } from '../registry/server.ts';
import type { Command, ExitCode, Invocation } from './command.ts';
import { printProblems, readServerConfig } from './config-file.ts';

export const serve: Command = {
  summary: "Run the registry server; CONFIG is docker distribution's config.yml.",
  usage: 'CONFIG',
  options: {},
  run,
};

async function run(invocation: Invocation): Promise<ExitCode> {
  const loaded = await readServerConfig(invocation);
  if (loaded === undefined) return 2;
  const { config } = loaded;
  const log = logger(config, invocation.stderr);
  for (const { path, message } of [...loaded.warnings, ...loaded.notices]) {
    log.warn({ path, problem: message }, 'configuration');
  }
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
      environment: invocation.environment,
    });
  } catch (error) {
    if (error instanceof ServerConfigError) {
      printProblems(invocation.stderr, invocation.positionals[0] ?? 'configuration', error.problems);
      return 2;
    }
    log.error({ error }, 'cannot start');
    return 1;
  }
  await aborted(invocation.signal);
  log.info({ draintimeout: config.http.draintimeout }, 'stopping');
  await server.stop();
  log.info({}, 'stopped');
  return 0;
}

function logger(config: Config, stderr: NodeJS.WritableStream): Logger {
  const { level, formatter, fields } = config.log;
  // Text is for people; JSON goes past the stream, so that a line written before a crash is there.
  return createLogger({ level, fields, ...(formatter === 'text' && { destination: textLines(stderr) }) });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
