// @simulacrum/auth0-simulator on 127.0.0.1, over https: port and API are the arguments. Its certificate lies where it
// looks for one, below HOME. Says "READY {…}" once it listens, and ends when its standard input does.
//
// CommonJS, since the package's ES modules do not run.

const { simulation } = require('@simulacrum/auth0-simulator');

const [port, audience, user] = process.argv.slice(2);
const options = { port: Number(port), domain: `localhost:${port}`, audience, scope: 'openid profile email read:docs' };

async function main() {
  const app = simulation({ options, initialState: { users: [JSON.parse(user)] } });
  await app.listen(Number(port), '127.0.0.1'); // without an address it would be on every interface
  process.stdin.resume().on('end', () => process.exit(0));
  console.log(`READY ${JSON.stringify({ port: Number(port) })}`);
}

main();
