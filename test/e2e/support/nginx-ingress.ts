import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../wait.ts';
import { ask } from '../registry-client.ts';

/** What of an Ingress concerns its controller. */
export interface IngressObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly tls: readonly [{ readonly hosts: readonly string[]; readonly secretName: string }];
    readonly rules: readonly [
      {
        readonly host: string;
        readonly http: {
          readonly paths: readonly [
            { readonly path: string; readonly backend: { readonly service: { readonly name: string } } },
          ];
        };
      },
    ];
  };
}

export interface NginxInput {
  readonly ingress: IngressObject;
  /** Where nginx listens, on port 443. */
  readonly address: string;
  /** Of the Service that the Ingress names, as `HOST:PORT`. */
  readonly backend: string;
  /** PEM, of the Secret that the Ingress names. */
  readonly certificate: string;
  readonly key: string;
  /** Whom the clients trust. */
  readonly authority: string;
}

/** What an ingress-nginx controller makes of an Ingress, as far as a registry is concerned: without an annotation its own default holds. */
function configurationFor({ ingress, address, backend }: NginxInput): string {
  const [rule] = ingress.spec.rules;
  const annotation = (name: string, otherwise: string) =>
    ingress.metadata.annotations?.[`nginx.ingress.kubernetes.io/${name}`] ?? otherwise;
  const scheme = annotation('backend-protocol', 'HTTP').toLowerCase();
  return `
user root;
worker_processes 1;
daemon off;
error_log stderr warn;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen ${address}:443 ssl;
    server_name ${rule.host};
    ssl_certificate tls.crt;
    ssl_certificate_key tls.key;
    location ${rule.http.paths[0].path} {
      client_max_body_size ${annotation('proxy-body-size', '1m')};
      proxy_request_buffering ${annotation('proxy-request-buffering', 'on')};
      proxy_buffering ${annotation('proxy-buffering', 'off')};
      proxy_read_timeout ${annotation('proxy-read-timeout', '60')}s;
      proxy_send_timeout ${annotation('proxy-send-timeout', '60')}s;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_redirect off;
      proxy_pass ${scheme}://${backend};
    }
  }
}
`;
}

/** Debian's nginx in place of an ingress controller. Needs root. Resolves when it passes requests on. @returns what ends it. */
export async function startNginx(input: NginxInput): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  writeFileSync(join(folder, 'nginx.conf'), configurationFor(input));
  writeFileSync(join(folder, 'tls.crt'), input.certificate);
  writeFileSync(join(folder, 'tls.key'), input.key, { mode: 0o600 });
  const child = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const [{ host }] = input.ingress.spec.rules;
  const place = { name: host, address: input.address, port: 443, authority: input.authority };
  try {
    await waitFor('nginx passes requests on', async () => {
      if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}: ${log.slice(-2000)}`);
      return (await ask(place, 'GET', '/v2/')).status < 500;
    });
  } catch (error) {
    await stop();
    throw new Error(`nginx said: ${log.slice(-2000)}`, { cause: error });
  }
  return stop;
}
