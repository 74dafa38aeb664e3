export default function ({ data, parentElement }) {
  parentElement.querySelector(".approaches").innerHTML = data.html;
}
