import type { Findings } from './decode.ts';
import type { Decoded, ObjectField } from './fields.ts';

/** Of each storage middleware: the options that it needs, and those that it may have. */
const storageMiddleware = {
  redirect: { needs: ['baseurl'], takes: [] },
  rewrite: { needs: [], takes: ['scheme', 'host', 'trimpathprefix'] },
  cloudfront: {
    needs: ['baseurl', 'privatekey', 'keypairid'],
    takes: ['duration', 'ipfilteredby', 'awsregion', 'updatefrequency', 'iprangesurl'],
  },
  alicdn: { needs: ['baseurl', 'authtype', 'privatekey'], takes: ['duration'] },
} as const;

const name = { type: 'string', description: 'Which one.' } as const;
const disabled = { type: 'boolean', default: false, description: 'Leaves it out.' } as const;

const options = { type: 'obsolete', description: 'there are no plug-ins that it could concern' } as const;

/** Plug-ins of Go programs, of which there are none here. */
const foreign = (what: string) =>
  ({
    type: 'list',
    description: `Plug-ins that docker distribution may be built with to change ${what}. There are none here.`,
    of: { type: 'object', description: 'A plug-in.', fields: { name, disabled, options } },
  }) as const;

/** `middleware`: what changes the URLs that clients are sent to. */
export const middlewareSection = {
  type: 'object',
  description: 'What stands between the registry and its storage.',
  fields: {
    registry: foreign('registries'),
    repository: foreign('repositories'),
    storage: {
      type: 'list',
      description: 'What changes the URLs that clients are sent to for blobs, one after the other.',
      of: {
        type: 'object',
        description: 'One of them.',
        fields: {
          name: {
            type: 'string',
            values: ['redirect', 'rewrite', 'cloudfront', 'alicdn'],
            description: 'Which one.',
          },
          disabled,
          options: {
            type: 'object',
            aliases: { updatefrenquency: 'updatefrequency' },
            description: 'Its options.',
            fields: {
              baseurl: {
                type: 'string',
                optional: true,
                description:
                  'Of `redirect`, `cloudfront`, `alicdn`: where clients are sent; the path of the blob is added.',
              },
              scheme: { type: 'string', optional: true, description: 'Of `rewrite`: the scheme to use.' },
              host: {
                type: 'string',
                optional: true,
                description: 'Of `rewrite`: the host and port to use.',
              },
              trimpathprefix: {
                type: 'string',
                optional: true,
                description: 'Of `rewrite`: what to cut off the beginning of the path.',
              },
              privatekey: {
                type: 'string',
                optional: true,
                secret: true,
                description:
                  'Of `cloudfront`: PEM file with the RSA key that signs. Of `alicdn`: the key itself.',
              },
              keypairid: {
                type: 'string',
                optional: true,
                description: 'Of `cloudfront`: the id of that key.',
              },
              authtype: {
                type: 'string',
                values: ['a', 'b', 'c'],
                optional: true,
                description: 'Of `alicdn`: the kind of signature.',
              },
              duration: {
                type: 'duration',
                default: '20m',
                description: 'Of `cloudfront`, `alicdn`: how long a URL can be used.',
              },
              ipfilteredby: {
                type: 'string',
                values: ['none', 'aws', 'awsregion'],
                anyCase: true,
                default: 'none',
                description:
                  'Of `cloudfront`: which clients go to S3 itself: those in AWS, or in the regions of `awsregion`.',
              },
              awsregion: {
                type: 'list',
                of: { type: 'string', description: 'Regions, separated by commas.' },
                description: 'Of `cloudfront`: regions whose clients go to S3 itself.',
              },
              updatefrequency: {
                type: 'duration',
                default: '12h',
                description:
                  'Of `cloudfront`: how often the addresses of AWS are fetched. 2.8 called it `updatefrenquency`.',
              },
              iprangesurl: {
                type: 'string',
                format: 'url',
                default: 'https://ip-ranges.amazonaws.com/ip-ranges.json',
                description: 'Of `cloudfront`: where they are fetched from.',
              },
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectField;

export type MiddlewareConfig = Decoded<typeof middlewareSection>;
export type StorageMiddleware = MiddlewareConfig['storage'][number];

/** Rules that concern more than one field. */
export function checkMiddleware(config: MiddlewareConfig, found: Findings): void {
  for (const kind of ['registry', 'repository'] as const) {
    for (const [index, item] of config[kind].entries()) {
      if (item.disabled) continue;
      found.errors.push({
        path: `middleware.${kind}.${index}.name`,
        message: `names a plug-in that is not here: ${item.name}`,
      });
    }
  }
  for (const [index, item] of config.storage.entries()) {
    if (!item.disabled) checkOptions(item, `middleware.storage.${index}.options`, found);
  }
}

function checkOptions({ name: kind, options }: StorageMiddleware, path: string, found: Findings): void {
  // An unknown name was reported as such.
  if (!Object.hasOwn(storageMiddleware, kind)) return;
  for (const option of storageMiddleware[kind].needs) {
    if (options[option] !== undefined) continue;
    found.errors.push({ path: `${path}.${option}`, message: `is required by ${kind}` });
  }
  const known: readonly string[] = [...storageMiddleware[kind].needs, ...storageMiddleware[kind].takes];
  for (const option of [
    'baseurl',
    'scheme',
    'host',
    'trimpathprefix',
    'privatekey',
    'keypairid',
    'authtype',
  ] as const) {
    if (options[option] === undefined || known.includes(option)) continue;
    found.warnings.push({ path: `${path}.${option}`, message: `is no option of ${kind} and is ignored` });
  }
  if (
    kind === 'redirect' &&
    options.baseurl !== undefined &&
    !/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(options.baseurl)
  ) {
    found.errors.push({
      path: `${path}.baseurl`,
      message: 'must have a scheme and a host, as in https://cdn.example.com',
    });
  }
  if (options.ipfilteredby === 'awsregion' && options.awsregion.length === 0) {
    found.errors.push({ path: `${path}.awsregion`, message: 'is required with ipfilteredby: awsregion' });
  }
}
